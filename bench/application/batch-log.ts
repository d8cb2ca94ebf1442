import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource, EntitySubscriberInterface } from 'typeorm';
import type { EventRecord, GenerationScope, ProjectionContext } from '../../lib/index.ts';
import { library } from '../library.ts';
import type { ScenarioContext } from '../scenario.ts';
import type { Followed, Payment } from '../subject.ts';
import { booked, PaymentBooked, startApplication } from '../subjects/ours.ts';

const { EventStore, OnBatch, Projection } = library;

/** Writes a row for each batch, and leaves the batch where `afterTransactionCommit` finds it. */
@Projection('batch-log')
class BatchLog {
  async prepare({ manager }: GenerationScope): Promise<void> {
    await manager.query('CREATE TABLE batches (first bigint PRIMARY KEY, events integer NOT NULL)');
  }

  @OnBatch(PaymentBooked)
  async take(
    records: readonly EventRecord<PaymentBooked>[],
    { manager }: ProjectionContext,
  ): Promise<void> {
    await manager.query('INSERT INTO batches VALUES ($1, $2)', [
      records[0]!.position,
      records.length,
    ]);
    manager.queryRunner!.data['batch'] = records.map(({ event }) => event);
  }
}

/** Starts an application that appends, with a projection that follows. */
export async function startBatchLog({ url, connections }: ScenarioContext): Promise<Followed> {
  const application = await startApplication(url, { connections, providers: [BatchLog] });
  const store = application.get(EventStore);
  const { subscribers } = application.get<DataSource>(getDataSourceToken());
  return {
    async append(aggregate, events, expectedVersion) {
      const ref = { type: 'account', id: aggregate };
      await store.append(ref, events.map(booked), { expectedVersion });
    },
    async follow(onArrival) {
      const onCommit: EntitySubscriberInterface = {
        afterTransactionCommit({ queryRunner }) {
          for (const payment of batchOf(queryRunner.data)) onArrival(payment);
        },
      };
      subscribers.push(onCommit);
      return { stop: () => application.close() };
    },
  };
}

const batchOf = (data: { readonly batch?: readonly Payment[] }): readonly Payment[] =>
  data.batch ?? [];
