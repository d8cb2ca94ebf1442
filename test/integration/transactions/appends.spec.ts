import type { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import {
  AggregateLockedError,
  DuplicateEventError,
  EventData,
  InvalidEventError,
  TransactionConflictError,
  TransactionRequiredError,
  WrongExpectedVersionError,
} from 'nest-event-store';
import { Counted, openStore } from '../../support/store.ts';
import { countCopies, tally } from '../../support/tally.ts';
import { counted, idOf, useCounters } from './use-counters.ts';

const given = useCounters();
const { newCounter, rolledBack, historyOf, rowsOf } = given;

describe("an append with the caller's manager", () => {
  it('commits with everything else that the transaction wrote, and not before', async () => {
    const [one, two] = [newCounter(), newCounter()];
    await given.dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [one.id]);
      const first = await given.store.append(one, counted(1, 2), { manager });
      expect(first).toMatchObject({ version: 2, duplicate: false });
      await given.store.appendAll(
        [
          { aggregate: two, events: counted(3), expectedVersion: 'no_stream' },
          { aggregate: one, events: counted(4), expectedVersion: 2 },
        ],
        { manager },
      );
      expect((await given.store.fetchByAggregate(one)).records).toEqual([]);
      expect(await given.store.currentVersion(two)).toBe(0);
    });
    expect((await given.store.fetchByAggregate(one)).records.map(({ event }) => event)).toEqual(
      counted(1, 2, 4),
    );
    expect(await given.store.currentVersion(two)).toBe(1);
    expect(await given.dataSource.query('SELECT FROM orders WHERE id = $1', [one.id])).toHaveLength(
      1,
    );
  });

  it('commits on connections older than the store, by a driver that reports no status', async () => {
    const older = await given.database.dataSource();
    // Both at once, so that two connections exist before the store does.
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
    const lasting = await given.database.dataSource();
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
    await given.store.append(known, counted(1));
    const end = await given.store.currentPosition();
    await rolledBack(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [known.id]);
      await given.store.append(known, counted(2), { manager });
      await given.store.append(unknown, counted(3), { manager });
      await given.store.snapshot(known, { total: 3 }, 2, { manager });
    });
    expect(await given.store.fetchHistory(known)).toMatchObject({
      version: 1,
      snapshot: null,
      records: [{ event: new Counted(1) }],
    });
    expect(await rowsOf(unknown)).toBe(0);
    expect(await given.store.fetch(end)).toEqual({ position: end, records: [] });
    expect(await given.dataSource.query('SELECT FROM orders WHERE id = $1', [known.id])).toEqual(
      [],
    );

    const { version, position } = await given.store.append(known, counted(4));
    expect(version).toBe(2);
    expect(position).toBeGreaterThan(end);
  });

  it('that meets a conflict leaves the transaction usable, and the rest of it commits', async () => {
    const [one, two, three] = [newCounter(), newCounter(), newCounter()];
    const id = '0197a0c8-7f00-7000-8000-000000000001';
    const before = await given.store.append(one, [new EventData(new Counted(1), { id })]);
    const committed = await given.dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO orders VALUES ($1)', [one.id]);
      const behind = { manager, expectedVersion: 'no_stream' } as const;
      await expect(given.store.append(one, counted(2), behind)).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const missing = { manager, expectedVersion: 'exists' } as const;
      await expect(given.store.append(two, counted(2), missing)).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const together = [
        { aggregate: two, events: counted(2) },
        { aggregate: one, events: counted(2), expectedVersion: 5 },
      ];
      await expect(given.store.appendAll(together, { manager })).rejects.toThrow(
        WrongExpectedVersionError,
      );
      const elsewhere = given.store.append(two, [new EventData(new Counted(9), { id })], {
        manager,
      });
      await expect(elsewhere).rejects.toThrow(DuplicateEventError);
      const unstorable = given.store.append(two, counted(Number.NaN), { manager });
      await expect(unstorable).rejects.toThrow(InvalidEventError);
      return given.store.append(three, counted(3), { manager });
    });
    const stored = [...(await historyOf(one)), ...(await historyOf(three))];
    const results = [before, committed];
    const acknowledged = results.flatMap(({ records }) => records);
    const copies = countCopies(acknowledged.map(idOf), stored.map(idOf));
    tally('F11', { acknowledged: results.length, ...copies });
    expect(stored).toEqual(acknowledged);
    expect(await rowsOf(two)).toBe(0);
    expect(await given.dataSource.query('SELECT FROM orders WHERE id = $1', [one.id])).toHaveLength(
      1,
    );
  });

  it('repeated in another transaction answers with the first result', async () => {
    const counter = newCounter();
    const events = [new EventData(new Counted(7), { id: '0197a0c8-7f00-7000-8000-000000000002' })];
    const append = (manager: EntityManager) => given.store.append(counter, events, { manager });
    const first = await given.dataSource.transaction(append);
    const again = await given.dataSource.transaction(append);
    expect(again).toEqual({ ...first, duplicate: true });
  });

  it.each<[string, (manager: EntityManager) => Promise<unknown>]>([
    ['append', (manager) => given.store.append(newCounter(), counted(1), { manager })],
    [
      'appendAll',
      (manager) =>
        given.store.appendAll([{ aggregate: newCounter(), events: counted(1) }], { manager }),
    ],
    ['fetch', (manager) => given.store.fetch(0, { manager })],
    ['fetchByAggregate', (manager) => given.store.fetchByAggregate(newCounter(), 0, { manager })],
    ['fetchHistory', (manager) => given.store.fetchHistory(newCounter(), { manager })],
    ['snapshot', (manager) => given.store.snapshot(newCounter(), {}, 1, { manager })],
    ['getSnapshot', (manager) => given.store.getSnapshot(newCounter(), { manager })],
  ])('%s refuses a manager that has no transaction, or one that has ended', async (_, call) => {
    const end = await given.store.currentPosition();
    await expect(call(given.dataSource.manager)).rejects.toThrow(TransactionRequiredError);
    const ended = await given.dataSource.transaction(async (manager) => manager);
    await expect(call(ended)).rejects.toThrow(TransactionRequiredError);
    expect(await given.store.currentPosition()).toBe(end);
  });

  it('waits for a held aggregate as long as the transaction allows', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    await rolledBack(async (blocking) => {
      await given.store.append(counter, counted(2), { manager: blocking });
      const waiting = given.dataSource.transaction(async (manager) => {
        await manager.query("SET LOCAL lock_timeout = '50ms'");
        await given.store.append(counter, counted(3), { manager });
      });
      const error = await waiting.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AggregateLockedError);
      expect(error).toMatchObject({ aggregates: [counter], waitedMs: undefined });
    });
  });

  it('at REPEATABLE READ meets a concurrent append as a retryable conflict', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    const work = given.dataSource.transaction('REPEATABLE READ', async (manager) => {
      expect((await given.store.fetchByAggregate(counter, 0, { manager })).version).toBe(1);
      await given.store.append(counter, counted(2));
      await given.store.append(counter, counted(3), { manager });
    });
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransactionConflictError);
    expect(error).toMatchObject({ sqlState: '40001', retryable: true });
    expect(await given.store.currentVersion(counter)).toBe(2);
  });
});
