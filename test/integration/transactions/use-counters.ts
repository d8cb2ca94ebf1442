import { AsyncLocalStorage } from 'node:async_hooks';
import { beforeAll, expect } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import type { DataSource, EntityManager } from 'typeorm';
import {
  Aggregate,
  type AggregateRef,
  type AggregateRepository,
  type EventRecord,
  everyNEvents,
} from 'nest-event-store';
import { AggregateRepositories } from '../../../lib/aggregates/aggregate-repositories.ts';
import { Counted, type TestStore } from '../../support/store.ts';
import { useStore } from '../../support/use-store.ts';

@Aggregate('counter', { snapshots: everyNEvents(3) })
export class Counter extends AggregateRoot<object> {
  total = 0;

  constructor(readonly id: string) {
    super();
  }

  count(by: number): number {
    this.apply(new Counted(by));
    return this.total;
  }

  onCounted({ by }: Counted): void {
    this.total += by;
  }
}

export const rollback = new Error('rolled back on purpose');
export const ambient = new AsyncLocalStorage<EntityManager>();

export const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));
export const idOf = ({ id }: EventRecord): string => id;

export function repositoryOf(eventStore: TestStore, warnings: string[] = []) {
  const onWarning = (message: string): unknown => warnings.push(message);
  return new AggregateRepositories(eventStore, { cacheSize: 100, onWarning }).of(Counter);
}

/** A store that joins the transactions in `ambient`, and a table of orders beside it. */
export function useCounters() {
  const used = useStore({ transactionManager: () => ambient.getStore(), allowRemoval: true });
  let counters: AggregateRepository<Counter>;
  let ids = 0;
  beforeAll(async () => {
    counters = repositoryOf(used.store);
    await used.dataSource.query('CREATE TABLE orders (id text PRIMARY KEY)');
  });

  const newCounter = () => ({ type: 'counter', id: `c-${(ids += 1)}` });

  /** Runs the work in a transaction and rolls it back. */
  async function rolledBack(work: (manager: EntityManager) => Promise<unknown>): Promise<void> {
    const transaction = used.dataSource.transaction(async (manager) => {
      await work(manager);
      throw rollback;
    });
    await expect(transaction).rejects.toBe(rollback);
  }

  /** Runs the work inside a transaction, as a transactional decorator does. */
  function transactional<T>(work: () => Promise<T>): Promise<T> {
    return used.dataSource.transaction((manager) => ambient.run(manager, work));
  }

  const historyOf = async (aggregate: AggregateRef): Promise<readonly EventRecord[]> =>
    (await used.store.fetchByAggregate(aggregate)).records;

  const rowsOf = async ({ id }: { id: string }): Promise<number> => {
    const sql = 'SELECT count(*)::int AS rows FROM event_store.aggregates WHERE id = $1';
    const [row] = (await used.dataSource.query(sql, [id])) as [{ rows: number }];
    return row.rows;
  };

  return {
    database: used.database,
    get dataSource(): DataSource {
      return used.dataSource;
    },
    get store(): TestStore {
      return used.store;
    },
    get counters(): AggregateRepository<Counter> {
      return counters;
    },
    newCounter,
    rolledBack,
    transactional,
    historyOf,
    rowsOf,
  };
}
