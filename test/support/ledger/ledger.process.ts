import 'reflect-metadata';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { EventStoreModule } from '../../../lib/event-store.module.ts';
import type { EventStoreOptions } from '../../../lib/module/options.ts';
import type { AggregateRef } from '../../../lib/store/aggregate-ref.ts';
import { EventStore } from '../../../lib/store/event-store.ts';
import type { RebuildOptions } from '../../../lib/subscriptions/consumer-registry.ts';
import { Consumers } from '../../../lib/subscriptions/control/consumers.ts';
import { Journal } from '../history/journal.ts';
import { Workload, type WorkloadOptions } from '../history/workload.ts';
import { offer, startValue } from '../process-calls.ts';
import type { Misdeeds } from '../unruly-guest.ts';
import { Gates } from './gates.ts';
import { ledgerProviders, type LedgerConsumersOptions, Outside } from './ledger.consumers.ts';
import { Deposited, Withdrawn } from './ledger.events.ts';
import { LedgerWriters } from './ledger.writers.ts';

/** What a process of the ledger is started with. */
export interface LedgerProcessOptions
  extends
    Partial<LedgerConsumersOptions>,
    Pick<
      EventStoreOptions,
      'autoStart' | 'leaseMs' | 'lockTimeoutMs' | 'pollIntervalMs' | 'pooler'
    > {
  readonly url: string;
  /** The longest pause of a writer. */
  readonly writerPauseMs?: number;
  /** The file in which the workload records what it does. */
  readonly journal?: string;
  /** Settings of the driver, for the pool. */
  readonly driver?: object;
  /** By how much the clock of this process is wrong. */
  readonly clockOffsetMs?: number;
}

const {
  url,
  partitions = 1,
  timeoutMs = 1_500,
  slowMs = 0,
  without = [],
  exitsAt = Infinity,
  writerPauseMs = 20,
  journal,
  driver = {},
  clockOffsetMs = 0,
  ...storeOptions
} = startValue() as LedgerProcessOptions;

const RightDate = Date;
if (clockOffsetMs !== 0) {
  globalThis.Date = class extends RightDate {
    constructor(...given: [] | [number]) {
      super(...((given.length > 0 ? given : [WrongDate.now()]) as [number]));
    }
    static override now = (): number => RightDate.now() + clockOffsetMs;
  } as DateConstructor;
}
const WrongDate = globalThis.Date;

class LedgerOutside extends Outside implements OnApplicationShutdown {
  readonly pool = new Pool({ ...driver, connectionString: url, max: 2 }).on('error', () => {
    // The next query makes a new connection.
  });

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}

@Global()
@Module({
  providers: [Gates, { provide: Outside, useClass: LedgerOutside }],
  exports: [Gates, Outside],
})
class SurroundingsModule {}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url,
      installExtensions: false,
      poolSize: 12,
      extra: driver,
    }),
    CqrsModule.forRoot(),
    EventStoreModule.forRoot(storeOptions),
    EventStoreModule.forFeature({ events: [Deposited, Withdrawn] }),
    SurroundingsModule,
  ],
  providers: ledgerProviders({ partitions, timeoutMs, slowMs, without, exitsAt }),
})
class LedgerModule {}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const app = await NestFactory.createApplicationContext(LedgerModule, {
  logger: ['warn', 'error', 'fatal'],
});
const store = app.get(EventStore);
const consumers = app.get(Consumers);
const gates = app.get(Gates);
const dataSource = app.get(DataSource);
const writers = new LedgerWriters(store, dataSource, writerPauseMs);
const workload = journal ? new Workload(store, dataSource, new Journal(journal)) : undefined;

const functions = {
  /** Appends one deposit for each amount; returns the position of the last one. */
  async append(aggregate: AggregateRef, amounts: readonly number[]): Promise<number> {
    const events = amounts.map((amount) => new Deposited(amount));
    return (await store.append(aggregate, events)).position;
  },
  startWriting: (seed: number, count: number): void => writers.start(seed, count),
  /** Returns how many appends of this process were acknowledged. */
  stopWriting: (): Promise<number> => writers.stop(),

  startWorkload: (options: WorkloadOptions): void => workload!.start(options),
  stopWorkload: (): Promise<void> => workload!.stop(),
  misdeeds: (): Misdeeds => workload!.misdeeds,
  acknowledged: (): number => workload!.acknowledged,
  lastAcknowledged: (): number => workload!.lastAcknowledged,
  /** The number of connections that were taken from the pool and not given back. */
  busyConnections(): number {
    const { totalCount, idleCount } = (dataSource.driver as unknown as { master: Pool }).master;
    return totalCount - idleCount;
  },
  /** Bytes, without garbage. */
  memory(): { heap: number; resident: number } {
    collectGarbage();
    const { heapUsed, rss } = process.memoryUsage();
    return { heap: heapUsed, resident: rss };
  },

  pause: (consumer: string): Promise<void> => consumers.pause(consumer),
  resume: (consumer: string): Promise<void> => consumers.resume(consumer),
  rebuild: (consumer: string, options?: RebuildOptions): Promise<number> =>
    consumers.rebuild(consumer, options),
  cancelRebuild: (consumer: string): Promise<void> => consumers.cancelRebuild(consumer),
  waitFor: (consumer: string, position: number): Promise<void> =>
    consumers.waitFor(consumer, position, { timeoutMs: 120_000 }),
  states: async () => (await consumers.list()).consumers,

  closeGate: (consumer: string, passing = 0): void => gates.close(consumer, passing),
  arrivedAtGate: (consumer: string): Promise<void> => gates.arrived(consumer),
  openGate: (consumer: string): void => gates.open(consumer),
};

/** What a process of the ledger offers to the spec that has started it. */
export type LedgerFunctions = typeof functions;

offer(functions, () => app.close());
