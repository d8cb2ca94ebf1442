import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { AppendCall } from '../../lib/postgres/store/appending/append-call.ts';
import { Database } from '../../lib/postgres/connection/database.ts';
import type { AppendResult } from '../../lib/store/appending/append.ts';
import { VersionExpectation } from '../../lib/store/appending/expected-version.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { Counted, openStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { one, ref, useTwoStores } from './use-two-stores.ts';

const given = useTwoStores();

describe('appending from many places at once', () => {
  it('skips an aggregate that another transaction has appended to', async () => {
    const [held, free] = [ref('passed-over'), ref('not-passed-over')];
    await given.store.append(held, one());
    const call = new AppendCall(
      new Database(given.dataSources[1]!, { preparedStatements: true }),
      'event_store',
    );
    const prepared = [held, held, free].map((aggregate, n) => ({
      aggregate,
      expectation: new VersionExpectation(n === 1 ? 'exists' : 'any'),
      events: [serialized(randomUUID())],
      hasCallerIds: false,
    }));
    await given.dataSources[0]!.transaction(async (manager) => {
      await given.store.append(held, one(), { manager });
      // With a lock timeout of one millisecond, any wait at all is an error.
      const options = { allOrNothing: false, wait: false, lockTimeoutMs: 1 };
      const outcomes = await call.send(prepared, options);
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(['busy', 'busy', 'ok']);
    });
  });

  describe('while a caller’s transaction holds an aggregate', () => {
    it('delays appends to that aggregate only, and no reader', async () => {
      const held = ref('held');
      const created = ref('held-new');
      await given.store.append(held, one());
      const waiting: Promise<AppendResult>[] = [];
      const rounds = 500;
      let settled = 0;

      await given.dataSources[0]!.transaction(async (manager) => {
        // Holds one aggregate by a version check alone, and creates the other one.
        await given.store.append(held, [], { manager, expectedVersion: 1 });
        await manager.query(
          `INSERT INTO event_store.aggregates (type, id, version) VALUES ('counter', 'held-new', 0)`,
        );
        const patient = await openStore(given.dataSources[0]!, {
          lockTimeoutMs: 2 * patiently.timeoutMs,
        });
        for (let n = 0; n < rounds; n++) {
          if (n % 20 === 0 && waiting.length < 40) {
            const both = [patient.append(held, [new Counted(n)]), patient.append(created, one())];
            waiting.push(...both.map((each) => each.finally(() => settled++)));
          }
          const [result] = await Promise.all([
            patient.append(ref(`free-${n % 50}`), one()),
            patient.append(ref(`free-new-${n}`), one()),
          ]);
          if (n % 50 === 0) {
            const { records } = await patient.fetch(result.position - 1, { limit: 1 });
            expect(records[0]).toMatchObject({ position: result.position });
          }
        }
        expect(await given.store.currentVersion(held)).toBe(1);
        expect(settled).toBe(0);
      });

      const releasedAt = performance.now();
      const versions = (await Promise.all(waiting)).filter((_, n) => n % 2 === 0);
      expect(versions.map((each) => each.version)).toEqual(versions.map((_, n) => n + 2));
      const acknowledged = 2 * rounds + waiting.length;
      tally('F9b', { acknowledged, recoveryMs: performance.now() - releasedAt });
    });

    it('lets a waiting append time out with a typed error that names the aggregate', async () => {
      const aggregate = ref('held-on');
      await given.store.append(aggregate, one());
      const impatient = await openStore(given.dataSources[1]!, { lockTimeoutMs: 200 });
      await given.dataSources[0]!.transaction(async (manager) => {
        await given.store.append(aggregate, one(), { manager });
        await expect(impatient.append(aggregate, one())).rejects.toMatchObject({
          code: 'AGGREGATE_LOCKED',
          aggregates: [aggregate],
          waitedMs: 200,
        });
      });
      const acknowledged = await given.store.currentVersion(aggregate);
      expect(acknowledged).toBe(2);
      tally('F9b', { acknowledged });
    });

    it('keeps the store from being drained before the waiting appends are settled', async () => {
      const aggregate = ref('held-beside-drain');
      await given.store.append(aggregate, one());
      const store = await openStore(given.dataSources[1]!);
      const settled: string[] = [];
      const settling: Promise<unknown>[] = [];
      await given.dataSources[0]!.transaction(async (manager) => {
        await given.store.append(aggregate, one(), { manager });
        settling.push(store.append(aggregate, one()).then(() => settled.push('append')));
        settling.push(store.drain().then(() => settled.push('drain')));
        await store.fetch();
        expect(settled).toEqual([]);
      });
      await Promise.all(settling);
      expect(settled).toEqual(['append', 'drain']);
    });
  });

  describe('while other transactions hold more aggregates than connections may wait for', () => {
    const held = Array.from({ length: 6 }, (_, n) => ref(`forgotten-${n}`));
    const brief = ref('held-briefly');

    /** Holds the aggregates for as long as the work takes. */
    const holding = async (aggregates: readonly { id: string }[], work: () => Promise<void>) => {
      await given.dataSources[1]!.transaction(async (manager) => {
        for (const aggregate of aggregates) {
          await given.store.append({ type: 'counter', id: aggregate.id }, [], {
            manager,
            expectedVersion: 'exists',
          });
        }
        await work();
      });
    };

    beforeAll(async () => {
      for (const aggregate of [...held, brief]) await given.store.append(aggregate, one());
    });

    it('stores an append to another aggregate as soon as that one is free', async () => {
      const patient = await openStore(given.dataSources[0]!, {
        lockTimeoutMs: 2 * patiently.timeoutMs,
      });
      const waiting: Promise<unknown>[] = [];
      let settled = 0;
      await holding(held, async () => {
        await holding([brief], async () => {
          for (const aggregate of held) {
            const twice = [patient.append(aggregate, one()), patient.append(aggregate, one())];
            const both = patient.appendAll([
              { aggregate, events: one() },
              { aggregate: ref(`beside-${aggregate.id}`), events: one() },
            ]);
            waiting.push(...[...twice, both].map((each) => each.finally(() => settled++)));
          }
          waiting.push(patient.append(brief, one()));
          await eventually(async () => {
            const [row] = await given.dataSources[1]!.query(
              `SELECT count(*)::int AS waiting FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'`,
            );
            return row.waiting > 0;
          });
        });
        await waiting.at(-1);
        expect(settled).toBe(0);
      });
      await Promise.all(waiting);
    });
  });
});

function serialized(id: string) {
  const event = new Counted(1);
  const stored = { type: 'counter.counted', revision: 1, payload: '{"by":1}', metadata: '{}' };
  return { ...stored, id, binary: null, event, metadataObject: {} };
}
