import 'reflect-metadata';
import {
  Column,
  CreateDateColumn,
  DataSource,
  Entity,
  type EntityManager,
  MoreThan,
  PrimaryGeneratedColumn,
  type QueryFailedError,
  Unique,
} from 'typeorm';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

const pageSize = 1_000;

@Entity('events')
@Unique(['aggregate', 'version'])
class StoredPayment {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' })
  position!: string;

  @Column({ type: 'text' })
  aggregate!: string;

  @Column({ type: 'integer' })
  version!: number;

  @Column({ type: 'text' })
  type!: string;

  @Column({ type: 'jsonb' })
  payload!: Payment;

  @CreateDateColumn({ type: 'timestamptz' })
  recordedAt!: Date;
}

/** An event table as an application writes it by hand: `save` in a transaction that checks the version. */
export const subject: Subject = {
  name: 'typeorm',
  kind: 'baseline',
  package: 'typeorm',
  hasGlobalOrder: false,
  async open(url, { setUp, connections }) {
    const dataSource = new DataSource({
      type: 'postgres',
      url,
      poolSize: connections,
      installExtensions: false,
      entities: [StoredPayment],
      synchronize: setUp,
    });
    await dataSource.initialize();
    const repository = dataSource.getRepository(StoredPayment);
    let conflicts = 0;

    const append = (aggregate: string, events: readonly Payment[], after: number | 'any') =>
      dataSource.transaction((manager) => save(manager, aggregate, events, after));

    return {
      async append(aggregate, events, after) {
        if (after !== 'any') return append(aggregate, events, after);
        conflicts += await resolveConflicts(() => append(aggregate, events, after), isConflict);
      },

      appendInTransaction: append,

      load: async (aggregate) =>
        (await repository.find({ where: { aggregate }, order: { version: 'ASC' } })).length,

      async readAll(onEvent) {
        for (let position = '0'; ;) {
          const page = await repository.find({
            where: { position: MoreThan(position) },
            order: { position: 'ASC' },
            take: pageSize,
          });
          for (const { aggregate, payload: event } of page) onEvent({ aggregate, event });
          if (page.length < pageSize) return;
          position = page.at(-1)!.position;
        }
      },

      conflicts: () => conflicts,
      close: () => dataSource.destroy(),
    };
  },
};

async function save(
  manager: EntityManager,
  aggregate: string,
  events: readonly Payment[],
  after: number | 'any',
): Promise<void> {
  const repository = manager.getRepository(StoredPayment);
  const version = (await repository.maximum('version', { aggregate })) ?? 0;
  if (after !== 'any' && version !== after) {
    throw new Error(`${aggregate} is at version ${version}, not at ${after}.`);
  }
  const rows = events.map((payload, index) =>
    repository.create({ aggregate, version: version + index + 1, type: 'payment.booked', payload }),
  );
  await repository.save(rows);
}

const isConflict = (error: Error): boolean =>
  (error as QueryFailedError<Error & { code?: string }>).driverError?.code === '23505';
