import { describe, expect, it } from '@jest/globals';
import { StatementFailedError } from 'nest-event-store';
import { lockNamespace } from '../../../lib/postgres/schema/schema-name.ts';
import { openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { ambient, counted, useCounters } from './use-counters.ts';

const given = useCounters();
const { newCounter, rolledBack } = given;

describe('the horizon', () => {
  it('names the open transactions that hold readers back, until they end', async () => {
    const slowSource = await given.database.dataSource({
      applicationName: 'slow-import',
      poolSize: 1,
    });
    const slow = await openStore(slowSource);
    const before = await given.store.currentPosition();
    const start = Date.now();
    await slowSource.transaction(async (manager) => {
      await slow.append(newCounter(), counted(1), { manager });
      const [{ pid }] = await manager.query('SELECT pg_backend_pid() AS pid');
      const { position: behind } = await given.store.append(newCounter(), counted(1));
      // The first append determines the key of the lock: later ones of the transaction take no other.
      const { position: last } = await slow.append(newCounter(), counted(1), { manager });

      const horizon = await given.store.horizon();
      expect(horizon).toMatchObject({ lastPosition: last });
      expect(horizon.position).toBeGreaterThanOrEqual(before);
      expect(horizon.position).toBeLessThan(behind);
      expect(horizon.openAppends).toEqual([
        {
          pid,
          applicationName: 'slow-import',
          role: new URL(given.database.url).username,
          lock: {
            classid: lockNamespace('event_store') >>> 0,
            objid: horizon.position,
          },
          since: expect.any(Date),
          position: horizon.position,
        },
      ]);
      expect(Math.abs(horizon.openAppends[0]!.since!.getTime() - start)).toBeLessThan(60_000);
      expect((await given.store.fetch(before)).records).toEqual([]);
    });
    const { position, lastPosition, openAppends } = await given.store.horizon();
    expect([position, openAppends]).toEqual([lastPosition, []]);
    const { records } = await given.store.fetch(before);
    expect(records).toHaveLength(3);
    tally('F9', { acknowledged: records.length });
  });

  it('ends a page, whose mark is the last event up to there under any filter', async () => {
    const start = await given.store.log.endOfLog();
    const gauge = { type: 'gauge', id: newCounter().id };
    await given.store.append(gauge, counted(1));
    const { position } = await given.store.append(newCounter(), counted(1));
    await given.dataSource.transaction(async (manager) => {
      await given.store.append(newCounter(), counted(1), { manager });
      await given.store.append(newCounter(), counted(1));
      for (const aggregateTypes of [['gauge'], ['none']]) {
        const step = await given.store.log.readOn(start, { limit: 10, aggregateTypes });
        expect(step).toMatchObject({ position, mark: { position } });
      }
    });
  });
});

describe('reading inside a transaction', () => {
  it('sees what the transaction appended to an aggregate', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    await rolledBack(async (manager) => {
      const { records } = await given.store.append(counter, counted(2, 3), { manager });
      expect((await given.store.fetchByAggregate(counter, 1, { manager })).records).toEqual(
        records,
      );
      await given.store.snapshot(counter, { total: 3 }, 2, { manager });
      const snapshot = { version: 2, state: { total: 3 } };
      expect(await given.store.getSnapshot(counter, { manager })).toEqual(snapshot);
      expect(await given.store.fetchHistory(counter, { manager })).toMatchObject({
        version: 3,
        snapshot,
        records: [records[1]],
      });
      expect(await ambient.run(manager, () => given.store.currentVersion(counter))).toBe(3);
      expect(await given.store.getSnapshot(counter)).toBeNull();
    });
    expect(await given.store.currentVersion(counter)).toBe(1);
  });

  it('of the log ends before its own appends, which have no settled position yet', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    const end = await given.store.currentPosition();
    await given.dataSource.transaction(async (manager) => {
      await given.store.append(counter, counted(2), { manager });
      expect(await given.store.fetch(end, { manager })).toEqual({ position: end, records: [] });
    });
    expect((await given.store.fetch(end)).records).toHaveLength(1);
  });

  it.each(['REPEATABLE READ', 'SERIALIZABLE'] as const)(
    'of the log is refused at %s, where it would skip events',
    async (isolation) => {
      const work = given.dataSource.transaction(isolation, (manager) =>
        given.store.fetch(0, { manager }),
      );
      const error = await work.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StatementFailedError);
      expect(error).toMatchObject({
        sqlState: '25001',
        message: expect.stringMatching(/cannot be read at isolation level \w+ ?\w*\. [^.]/),
      });
    },
  );
});
