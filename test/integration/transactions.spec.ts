import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import type { DataSource, EntityManager } from 'typeorm';
import {
  Aggregate,
  AggregateLockedError,
  type AggregateRef,
  AggregateRepository,
  DuplicateEventError,
  EventData,
  type EventRecord,
  everyNEvents,
  InvalidEventError,
  StatementFailedError,
  TransactionConflictError,
  TransactionRequiredError,
  WrongExpectedVersionError,
} from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { lockNamespace } from '../../lib/postgres/schema/schema-name.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { countCopies, tally } from '../support/tally.ts';

@Aggregate('counter', { snapshots: everyNEvents(3) })
class Counter extends AggregateRoot<object> {
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

const rollback = new Error('rolled back on purpose');
const ambient = new AsyncLocalStorage<EntityManager>();

let database: TestDatabase;
let dataSource: DataSource;
let store: TestStore;
let counters: AggregateRepository<Counter>;
let ids = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await database.dataSource();
  store = await openStore(dataSource, {
    transactionManager: () => ambient.getStore(),
    allowRemoval: true,
  });
  counters = repositoryOf(store);
  await dataSource.query('CREATE TABLE orders (id text PRIMARY KEY)');
});
afterAll(() => database.drop());

const newCounter = () => ({ type: 'counter', id: `c-${(ids += 1)}` });
const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));

function repositoryOf(eventStore: TestStore, warnings: string[] = []) {
  const onWarning = (message: string): unknown => warnings.push(message);
  return new AggregateRepositories(eventStore, { cacheSize: 100, onWarning }).of(Counter);
}

/** Runs the work in a transaction and rolls it back. */
async function rolledBack(work: (manager: EntityManager) => Promise<unknown>): Promise<void> {
  const transaction = dataSource.transaction(async (manager) => {
    await work(manager);
    throw rollback;
  });
  await expect(transaction).rejects.toBe(rollback);
}

/** Runs the work with its transaction open all around it, as a transactional decorator does. */
function transactional<T>(work: () => Promise<T>): Promise<T> {
  return dataSource.transaction((manager) => ambient.run(manager, work));
}

const historyOf = async (aggregate: AggregateRef): Promise<readonly EventRecord[]> =>
  (await store.fetchByAggregate(aggregate)).records;
const idOf = ({ id }: EventRecord): string => id;

const rowsOf = async ({ id }: { id: string }): Promise<number> => {
  const sql = 'SELECT count(*)::int AS rows FROM event_store.aggregates WHERE id = $1';
  const [row] = (await dataSource.query(sql, [id])) as [{ rows: number }];
  return row.rows;
};

describe("an append with the caller's manager", () => {
  it('commits with everything else that the transaction wrote, and not before', async () => {
    const [one, two] = [newCounter(), newCounter()];
    await dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [one.id]);
      const first = await store.append(one, counted(1, 2), { manager });
      expect(first).toMatchObject({ version: 2, duplicate: false });
      await store.appendAll(
        [
          { aggregate: two, events: counted(3), expectedVersion: 'no_stream' },
          { aggregate: one, events: counted(4), expectedVersion: 2 },
        ],
        { manager },
      );
      expect((await store.fetchByAggregate(one)).records).toEqual([]);
      expect(await store.currentVersion(two)).toBe(0);
    });
    expect((await store.fetchByAggregate(one)).records.map(({ event }) => event)).toEqual(
      counted(1, 2, 4),
    );
    expect(await store.currentVersion(two)).toBe(1);
    expect(await dataSource.query('SELECT FROM orders WHERE id = $1', [one.id])).toHaveLength(1);
  });

  it('commits on connections older than the store, by a driver that reports no status', async () => {
    const older = await database.dataSource();
    // Both at once, so that there are two of them before there is a store.
    await Promise.all([older.query('SELECT pg_sleep(0.1)'), older.query('SELECT pg_sleep(0.1)')]);
    const { Client } = (older.driver as unknown as { master: { Client: { prototype: object } } })
      .master;
    const keepsStatus = Object.getOwnPropertyDescriptor(Client.prototype, 'getTransactionStatus');
    Reflect.deleteProperty(Client.prototype, 'getTransactionStatus');
    try {
      const late = await openStore(older);
      const both = [newCounter(), newCounter()];
      await older.transaction((first) =>
        older.transaction(async (second) => {
          await late.append(both[0]!, counted(1), { manager: first });
          await late.append(both[1]!, counted(1), { manager: second });
        }),
      );
      for (const each of both) expect(await late.currentVersion(each)).toBe(1);
    } finally {
      if (keepsStatus) Object.defineProperty(Client.prototype, 'getTransactionStatus', keepsStatus);
    }
  });

  it('leaves no listener on the data source of a store that is closed', async () => {
    const lasting = await database.dataSource();
    const pool = (lasting.driver as unknown as { master: EventEmitter }).master;
    const listeners = () => [lasting.subscribers.length, pool.listenerCount('release')];
    const before = listeners();
    const closed = await openStore(lasting);
    await lasting.transaction((manager) => closed.append(newCounter(), counted(1), { manager }));
    expect(listeners()).not.toEqual(before);
    await closed.close();
    expect(listeners()).toEqual(before);
  });

  it('stores nothing when the transaction is rolled back', async () => {
    const [known, unknown] = [newCounter(), newCounter()];
    await store.append(known, counted(1));
    const end = await store.currentPosition();
    await rolledBack(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [known.id]);
      await store.append(known, counted(2), { manager });
      await store.append(unknown, counted(3), { manager });
      await store.snapshot(known, { total: 3 }, 2, { manager });
    });
    expect(await store.fetchHistory(known)).toMatchObject({
      version: 1,
      snapshot: null,
      records: [{ event: new Counted(1) }],
    });
    expect(await rowsOf(unknown)).toBe(0);
    expect(await store.fetch(end)).toEqual({ position: end, records: [] });
    expect(await dataSource.query('SELECT FROM orders WHERE id = $1', [known.id])).toEqual([]);

    const { version, position } = await store.append(known, counted(4));
    expect(version).toBe(2);
    expect(position).toBeGreaterThan(end);
  });

  it('that meets a conflict leaves the transaction usable, and the rest of it commits', async () => {
    const [one, two, three] = [newCounter(), newCounter(), newCounter()];
    const id = '0197a0c8-7f00-7000-8000-000000000001';
    const before = await store.append(one, [new EventData(new Counted(1), { id })]);
    const committed = await dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [one.id]);
      const behind = { manager, expectedVersion: 'no_stream' } as const;
      await expect(store.append(one, counted(2), behind)).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const missing = { manager, expectedVersion: 'exists' } as const;
      await expect(store.append(two, counted(2), missing)).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const together = [
        { aggregate: two, events: counted(2) },
        { aggregate: one, events: counted(2), expectedVersion: 5 },
      ];
      await expect(store.appendAll(together, { manager })).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const elsewhere = store.append(two, [new EventData(new Counted(9), { id })], { manager });
      await expect(elsewhere).rejects.toThrow(DuplicateEventError);
      const unstorable = store.append(two, counted(Number.NaN), { manager });
      await expect(unstorable).rejects.toThrow(InvalidEventError);
      return store.append(three, counted(3), { manager });
    });
    const stored = [...(await historyOf(one)), ...(await historyOf(three))];
    const results = [before, committed];
    const acknowledged = results.flatMap(({ records }) => records);
    const copies = countCopies(acknowledged.map(idOf), stored.map(idOf));
    tally('F11', { acknowledged: results.length, ...copies });
    expect(stored).toEqual(acknowledged);
    expect(await rowsOf(two)).toBe(0);
    expect(await dataSource.query('SELECT FROM orders WHERE id = $1', [one.id])).toHaveLength(1);
  });

  it('repeated in another transaction answers with the first result', async () => {
    const counter = newCounter();
    const events = [new EventData(new Counted(7), { id: '0197a0c8-7f00-7000-8000-000000000002' })];
    const append = (manager: EntityManager) => store.append(counter, events, { manager });
    const first = await dataSource.transaction(append);
    const again = await dataSource.transaction(append);
    expect(again).toEqual({ ...first, duplicate: true });
  });

  it.each<[string, (manager: EntityManager) => Promise<unknown>]>([
    ['append', (manager) => store.append(newCounter(), counted(1), { manager })],
    [
      'appendAll',
      (manager) => store.appendAll([{ aggregate: newCounter(), events: counted(1) }], { manager }),
    ],
    ['fetch', (manager) => store.fetch(0, { manager })],
    ['fetchByAggregate', (manager) => store.fetchByAggregate(newCounter(), 0, { manager })],
    ['fetchHistory', (manager) => store.fetchHistory(newCounter(), { manager })],
    ['snapshot', (manager) => store.snapshot(newCounter(), {}, 1, { manager })],
    ['getSnapshot', (manager) => store.getSnapshot(newCounter(), { manager })],
  ])('%s refuses a manager that has no transaction, or one that has ended', async (_, call) => {
    const end = await store.currentPosition();
    await expect(call(dataSource.manager)).rejects.toThrow(TransactionRequiredError);
    const ended = await dataSource.transaction(async (manager) => manager);
    await expect(call(ended)).rejects.toThrow(TransactionRequiredError);
    expect(await store.currentPosition()).toBe(end);
  });

  it('waits for a held aggregate as long as the transaction says', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    await rolledBack(async (holder) => {
      await store.append(counter, counted(2), { manager: holder });
      const waiting = dataSource.transaction(async (manager) => {
        await manager.query("SET LOCAL lock_timeout = '50ms'");
        await store.append(counter, counted(3), { manager });
      });
      const error = await waiting.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AggregateLockedError);
      expect(error).toMatchObject({ aggregates: [counter], waitedMs: undefined });
    });
  });

  it('at REPEATABLE READ meets a concurrent append as a conflict to run again', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    const work = dataSource.transaction('REPEATABLE READ', async (manager) => {
      expect((await store.fetchByAggregate(counter, 0, { manager })).version).toBe(1);
      await store.append(counter, counted(2));
      await store.append(counter, counted(3), { manager });
    });
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(error).toMatchObject({ sqlState: '40001', retryable: true });
    expect(await store.currentVersion(counter)).toBe(2);
  });
});

describe('the horizon', () => {
  it('names the open transactions that hold readers back, and lets go of them', async () => {
    const slowSource = await database.dataSource({ applicationName: 'slow-import', poolSize: 1 });
    const slow = await openStore(slowSource);
    const before = await store.currentPosition();
    const start = Date.now();
    await slowSource.transaction(async (manager) => {
      await slow.append(newCounter(), counted(1), { manager });
      const [{ pid }] = await manager.query('SELECT pg_backend_pid() AS pid');
      const { position: behind } = await store.append(newCounter(), counted(1));
      // Under the number of the first append: however many follow, they take one lock.
      const { position: last } = await slow.append(newCounter(), counted(1), { manager });

      const horizon = await store.horizon();
      expect(horizon).toMatchObject({ lastPosition: last });
      expect(horizon.position).toBeGreaterThanOrEqual(before);
      expect(horizon.position).toBeLessThan(behind);
      expect(horizon.holders).toEqual([
        {
          pid,
          applicationName: 'slow-import',
          role: new URL(database.url).username,
          lock: {
            classid: lockNamespace('event_store') >>> 0,
            objid: horizon.position,
          },
          since: expect.any(Date),
          position: horizon.position,
        },
      ]);
      expect(Math.abs(horizon.holders[0]!.since!.getTime() - start)).toBeLessThan(60_000);
      expect((await store.fetch(before)).records).toEqual([]);
    });
    const { position, lastPosition, holders } = await store.horizon();
    expect([position, holders]).toEqual([lastPosition, []]);
    const { records } = await store.fetch(before);
    expect(records).toHaveLength(3);
    tally('F9', { acknowledged: records.length });
  });

  it('ends a page that is marked with the last event up to there, whatever its filter takes', async () => {
    const start = await store.endOfLog();
    const gauge = { type: 'gauge', id: newCounter().id };
    await store.append(gauge, counted(1));
    const { position } = await store.append(newCounter(), counted(1));
    await dataSource.transaction(async (manager) => {
      await store.append(newCounter(), counted(1), { manager });
      await store.append(newCounter(), counted(1));
      for (const aggregateTypes of [['gauge'], ['none']]) {
        const step = await store.readOn(start, { limit: 10, aggregateTypes });
        expect(step).toMatchObject({ position, mark: { position } });
      }
    });
  });
});

describe('reading inside a transaction', () => {
  it('sees what the transaction appended to an aggregate', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    await rolledBack(async (manager) => {
      const { records } = await store.append(counter, counted(2, 3), { manager });
      expect((await store.fetchByAggregate(counter, 1, { manager })).records).toEqual(records);
      await store.snapshot(counter, { total: 3 }, 2, { manager });
      const snapshot = { version: 2, state: { total: 3 } };
      expect(await store.getSnapshot(counter, { manager })).toEqual(snapshot);
      expect(await store.fetchHistory(counter, { manager })).toMatchObject({
        version: 3,
        snapshot,
        records: [records[1]],
      });
      expect(await ambient.run(manager, () => store.currentVersion(counter))).toBe(3);
      expect(await store.getSnapshot(counter)).toBeNull();
    });
    expect(await store.currentVersion(counter)).toBe(1);
  });

  it('of the log ends before its own appends, which have no settled place yet', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    const end = await store.currentPosition();
    await dataSource.transaction(async (manager) => {
      await store.append(counter, counted(2), { manager });
      expect(await store.fetch(end, { manager })).toEqual({ position: end, records: [] });
    });
    expect((await store.fetch(end)).records).toHaveLength(1);
  });

  it.each(['REPEATABLE READ', 'SERIALIZABLE'] as const)(
    'of the log is refused at %s, where it would skip events',
    async (isolation) => {
      const work = dataSource.transaction(isolation, (manager) => store.fetch(0, { manager }));
      const error = await work.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StatementFailedError);
      expect(error).toMatchObject({
        sqlState: '25001',
        message: expect.stringMatching(/cannot be read at isolation level \w+ ?\w*\. [^.]/),
      });
    },
  );
});

describe('an ambient transaction', () => {
  it('is joined by every call', async () => {
    const counter = newCounter();
    const seen: unknown[] = [];
    const work = transactional(async () => {
      await store.append(counter, counted(1, 2));
      await store.appendAll([{ aggregate: counter, events: counted(3) }]);
      await store.snapshot(counter, { total: 6 }, 3);
      seen.push(
        await store.currentVersion(counter),
        (await store.fetchByAggregate(counter)).version,
        (await store.fetchHistory(counter)).version,
        (await store.getSnapshot(counter))?.version,
        await ambient.exit(() => store.currentVersion(counter)),
        await store.removeEvents(counter),
      );
      throw rollback;
    });
    await expect(work).rejects.toBe(rollback);
    expect(seen).toEqual([3, 3, 3, 3, 0, 3]);
    expect(await rowsOf(counter)).toBe(0);
  });

  it('gives way to a manager that is named', async () => {
    const counter = newCounter();
    await rolledBack((outer) =>
      ambient.run(outer, () =>
        dataSource.transaction((manager) => store.append(counter, counted(1), { manager })),
      ),
    );
    expect(await store.currentVersion(counter)).toBe(1);
  });

  it('is none if its manager has no transaction, or it has ended', async () => {
    const counter = newCounter();
    await ambient.run(dataSource.manager, () => store.append(counter, counted(1)));
    let ended: EntityManager | undefined;
    await transactional(async () => {
      ended = ambient.getStore();
      await store.append(counter, counted(2));
    });
    await ambient.run(ended!, () => store.append(counter, counted(3)));
    expect(await store.currentVersion(counter)).toBe(3);
  });
});

describe('an aggregate in a transaction', () => {
  it('is saved and executed with it, or not at all', async () => {
    const { id } = newCounter();
    const created = new Counter(id);
    created.count(1);
    await rolledBack((manager) => counters.save(created, { manager }));
    expect(await counters.find(id)).toBeNull();

    const again = new Counter(id);
    again.count(1);
    await dataSource.transaction(async (manager) => {
      await counters.save(again, { manager });
      const { version, result } = await counters.execute(id, (counter) => counter.count(2), {
        manager,
      });
      expect([version, result]).toEqual([2, 3]);
      expect((await counters.load(id, { manager })).total).toBe(3);
      expect(await counters.find(id)).toBeNull();
    });
    expect((await counters.load(id)).total).toBe(3);
  });

  it('is not served from memory as it was in a transaction that was rolled back', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    await counters.execute(counter.id, (cached) => cached.count(1));

    await rolledBack((manager) =>
      counters.execute(counter.id, (inside) => inside.count(100), { manager }),
    );
    const joined = transactional(async () => {
      await counters.execute(counter.id, (inside) => inside.count(1000));
      throw rollback;
    });
    await expect(joined).rejects.toBe(rollback);

    // Now at the version that it had in there, with another event.
    await store.append(counter, counted(5));
    const { version, result } = await counters.execute(counter.id, (after) => after.count(1));
    expect([version, result]).toEqual([4, 8]);
    expect(await store.getSnapshot(counter)).toBeNull();
  });

  it('is tried again in the same transaction after a conflict', async () => {
    const counter = newCounter();
    await store.append(counter, counted(1));
    const totals: number[] = [];
    await dataSource.transaction(async (manager) => {
      await counters.execute(
        counter.id,
        async (inside) => {
          if (totals.length === 0) await store.append(counter, counted(10));
          totals.push(inside.count(1));
        },
        { manager },
      );
    });
    expect(totals).toEqual([2, 12]);
    expect(await store.currentVersion(counter)).toBe(3);
  });

  it('commits though its snapshot was refused by the database', async () => {
    const counter = newCounter();
    const warnings: string[] = [];
    await dataSource.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused on purpose'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE OF snapshot_state ON event_store.aggregates
        FOR EACH ROW WHEN (NEW.id = '${counter.id}') EXECUTE FUNCTION refuse()`);
    const saved = new Counter(counter.id);
    for (const by of [1, 2, 3]) saved.count(by);
    await dataSource.transaction(async (manager) => {
      await repositoryOf(store, warnings).save(saved, { manager });
      await manager.query('INSERT INTO orders VALUES ($1)', [counter.id]);
    });
    expect(warnings).toEqual([`No snapshot of counter/${counter.id} at version 3 was taken.`]);
    expect(await store.currentVersion(counter)).toBe(3);
    expect(await dataSource.query('SELECT FROM orders WHERE id = $1', [counter.id])).toHaveLength(
      1,
    );
  });
});

describe.each([1, 2])('a pool of %i', (poolSize) => {
  it('is enough to repeat an append inside the transaction that made it', async () => {
    const small = await database.dataSource({ poolSize });
    const smallStore = await openStore(small);
    const twice = () =>
      small.transaction(async (manager) => {
        const aggregate = newCounter();
        const events = [new EventData(new Counted(1), { id: randomUUID() })];
        const first = await smallStore.append(aggregate, events, { manager });
        const again = await smallStore.append(aggregate, events, { manager });
        expect(again).toEqual({ ...first, duplicate: true });
      });
    const done = await Promise.all(Array.from({ length: poolSize }, twice));
    tally('F12', { acknowledged: done.length });
  });

  it('finishes fifty commands in transactions at once, beside appends of their own', async () => {
    const small = await database.dataSource({ poolSize });
    const smallStore = await openStore(small, { transactionManager: () => ambient.getStore() });
    const smallCounters = repositoryOf(smallStore);
    const targets = Array.from({ length: 5 }, newCounter);
    await Promise.all(targets.map((target) => smallStore.append(target, counted(1))));

    const commands = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const { id } = targets[n % targets.length]!;
        const command = (manager: EntityManager) =>
          smallCounters.execute(id, (counter) => counter.count(1), { manager, retries: 50 });
        if (n % 3 === 0) return small.transaction(command);
        if (n % 3 === 1) {
          return small.transaction((manager) => ambient.run(manager, () => command(manager)));
        }
        return smallStore.append({ type: 'counter', id }, counted(1));
      }),
    );
    const totals = await Promise.all(
      targets.map(async ({ id }) => (await smallCounters.load(id)).total),
    );
    const missing = commands.length + targets.length - totals.reduce((sum, each) => sum + each);
    const [lost, doubled] = [Math.max(0, missing), Math.max(0, -missing)];
    tally('F12', { acknowledged: commands.length, lost, doubled });
    expect(totals).toEqual([11, 11, 11, 11, 11]);
  });
});
