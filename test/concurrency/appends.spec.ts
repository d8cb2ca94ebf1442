import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { EventData } from '../../lib/events/event-data.ts';
import { AppendCall } from '../../lib/postgres/store/appending/append-call.ts';
import type { AppendResult } from '../../lib/store/appending/append.ts';
import { eventually } from '../support/eventually.ts';
import { random, seed } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { countCopies, tally } from '../support/tally.ts';
import { one, ref, useTwoStores } from './use-two-stores.ts';

const given = useTwoStores();

const testSeed = seed();

describe('appending from many places at once', () => {
  it('lets exactly one of twenty writers win a race for one expectation', async () => {
    for (let round = 0; round < 20; round++) {
      const aggregate = ref(`race-${round}`);
      if (round % 2 === 1) await given.store.append(aggregate, one());
      const expectedVersion = round % 2;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          // By group commit, and one by one on connections of their own.
          n % 4 === 0
            ? given.dataSources[n % 2]!.transaction((manager) =>
                given.stores[n % 2]!.append(aggregate, one(), { expectedVersion, manager }),
              )
            : given.stores[n % 2]!.append(aggregate, one(), { expectedVersion }),
        ),
      );
      const refusals = outcomes.flatMap((each) =>
        each.status === 'rejected' ? [each.reason] : [],
      );
      expect(refusals.map((error) => error.code)).toEqual(Array(19).fill('WRONG_EXPECTED_VERSION'));
      expect(refusals[0]).toMatchObject({ aggregate, actualVersion: expectedVersion + 1 });
      expect(await given.store.currentVersion(aggregate)).toBe(expectedVersion + 1);
    }
  });

  it('keeps appends without an expectation free of conflicts, and versions free of gaps', async () => {
    const choices = random(testSeed);
    const aggregates = Array.from({ length: 8 }, (_, n) => ref(`busy-${n}`));
    const results = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        choices
          .pick(given.stores)
          .append(
            choices.pick(aggregates),
            Array.from({ length: choices.integer(1, 3) }, one).flat(),
          ),
      ),
    );
    for (const result of results) {
      const versions = result.records.map((record) => record.version);
      expect(versions.at(-1)).toBe(result.version);
      expect(versions).toEqual(versions.map((_, index) => versions[0]! + index));
    }
    for (const aggregate of aggregates) {
      const { records } = await given.store.fetchByAggregate(aggregate, 0, { limit: 10_000 });
      expect(records.map((record) => record.version)).toEqual(records.map((_, index) => index + 1));
    }
  });

  it('applies appends to one aggregate in the order in which they are called', async () => {
    const aggregate = ref('in-order');
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        given.store.append(aggregate, [new Counted(n)], { expectedVersion: n }),
      ),
    );
    expect(results.map((result) => result.version)).toEqual(results.map((_, index) => index + 1));
  });

  it('keeps the order of calls while several batches are in flight', async () => {
    const { pick, next } = random(testSeed);
    const calls = new Map(['a', 'b', 'c', 'd'].map((id) => [id, 0]));
    const failed: unknown[] = [];
    const appending: Promise<unknown>[] = [];
    for (let n = 0; n < 1_000; n++) {
      const id = pick([...calls.keys()]);
      const expectedVersion = calls.get(id)!;
      calls.set(id, expectedVersion + 1);
      // Each expects the version that the one before has left.
      const append = given.store.append(ref(`spread-${id}`), [new Counted(n)], { expectedVersion });
      appending.push(append.catch((error: unknown) => failed.push(error)));
      if (next() < 0.2) await setImmediate();
    }
    await Promise.all(appending);
    expect(failed).toEqual([]);
  });

  it('answers an append and its repetition at the same moment with one copy', async () => {
    const events = [new EventData(new Counted(1), { id: randomUUID() })];
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) => given.stores[n % 2]!.append(ref('repeated'), events)),
    );
    expect(results.filter((result) => !result.duplicate)).toHaveLength(1);
    expect(new Set(results.map((result) => result.position)).size).toBe(1);
    expect(await given.store.currentVersion(ref('repeated'))).toBe(1);
  });

  it('fails a poisoned append alone', async () => {
    // Simulates anything that the library lets through and the database refuses.
    await given.dataSources[0]!.query(
      `ALTER TABLE event_store.domain_events ADD CONSTRAINT poison CHECK (payload <> '{"by": 13}') NOT VALID`,
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, n) =>
        given.store.append(ref(`poison-${n % 7}`), [new Counted(n)]),
      ),
    );
    await given.dataSources[0]!.query(
      'ALTER TABLE event_store.domain_events DROP CONSTRAINT poison',
    );
    const failed = outcomes.flatMap((each, n) =>
      each.status === 'rejected' ? [[n, each.reason.code]] : [],
    );
    expect(failed).toEqual([[13, 'CONSTRAINT_VIOLATED']]);
  });

  it('rejects appends that the queue has no room for, and writes none of them', async () => {
    const small = await openStore(given.dataSources[1]!, { maxQueuedAppends: 5 });
    const before = await given.store.currentPosition();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => small.append(ref(`queued-${n}`), one())),
    );
    expect(outcomes.filter((each) => each.status === 'fulfilled')).toHaveLength(5);
    expect(outcomes[7]).toMatchObject({
      reason: { code: 'STORE_OVERLOADED', maxQueuedAppends: 5 },
    });
    expect((await given.store.fetch(before)).records).toHaveLength(5);
  });

  it('counts every waiting call and every waiting byte, on every path', async () => {
    const small = await openStore(given.dataSources[1]!, { maxQueuedAppends: 5 });
    const calls = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) =>
        small.appendAll([
          { aggregate: ref(`counted-${n}`), events: one() },
          { aggregate: ref(`counted-too-${n}`), events: one() },
        ]),
      ),
    );
    expect(calls.filter((each) => each.status === 'fulfilled')).toHaveLength(5);
    expect(calls[7]).toMatchObject({
      reason: { code: 'STORE_OVERLOADED', limitedBy: 'maxQueuedAppends', maxQueuedAppends: 5 },
    });

    // As metadata, which takes as much room as a payload.
    const metadata = { note: 'x'.repeat(1_000_000) };
    const position = await given.store.currentPosition();
    const large = await Promise.allSettled(
      Array.from({ length: 160 }, () => small.append(ref('large'), one(), { metadata })),
    ).then((all) => all.slice(5));
    expect(large.every((each) => each.status === 'rejected')).toBe(true);
    const wide = await openStore(given.dataSources[1]!);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 160 }, () => wide.append(ref('large'), one(), { metadata })),
    );
    const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]).toMatchObject({
      code: 'STORE_OVERLOADED',
      limitedBy: 'maxQueuedBytes',
      maxQueuedBytes: 134_217_728,
    });
    const stored = await given.store.fetch(position, { limit: 1 });
    expect(stored.records).toHaveLength(1);
    expect(await given.store.currentVersion(ref('large'))).toBe(160 - refused.length + 5);
  });

  it('sends no more than 8 MiB in one call, metadata included', async () => {
    const wide = await openStore(given.dataSources[1]!);
    const sizes: number[] = [];
    const send = AppendCall.prototype.send;
    AppendCall.prototype.send = function (appends, options) {
      const events = appends.flatMap((each) => each.events);
      sizes.push(events.reduce((sum, each) => sum + each.payload.length + each.metadata.length, 0));
      return send.call(this, appends, options);
    };
    try {
      const metadata = { note: 'x'.repeat(900_000) };
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => wide.append(ref(`wide-${n}`), one(), { metadata })),
      );
    } finally {
      AppendCall.prototype.send = send;
    }
    expect(Math.max(...sizes)).toBeGreaterThan(4_000_000);
    expect(Math.max(...sizes)).toBeLessThan(8 * 1024 * 1024);
  });

  it('never deadlocks on appends to several aggregates in opposite orders', async () => {
    const [a, b] = [ref('left'), ref('right')];
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, n) => {
        const appends = [
          { aggregate: a, events: one() },
          { aggregate: b, events: one() },
        ];
        return given.stores[n % 2]!.appendAll(n % 3 === 0 ? appends : appends.reverse());
      }),
    );
    expect(await given.store.currentVersion(a)).toBe(300);
    expect(await given.store.currentVersion(b)).toBe(300);
    tally('F10', { runs: results.length, acknowledged: results.length });
  });

  it('stores every acknowledged append once while connections are being killed', async () => {
    const choices = random(testSeed);
    const acknowledged: AppendResult[] = [];
    const unknown: string[] = [];
    let writing = true;
    let kills = 0;
    const killer = (async () => {
      const killing = await given.database.dataSource({ poolSize: 1 });
      while (writing) {
        const killed = await killing.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1`,
        );
        kills += killed.length;
        await killing.query('SELECT pg_sleep(0.02)');
      }
    })();
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let n = 0; n < 60; n++) {
          const id = randomUUID();
          const events = [new EventData(new Counted(n), { id })];
          await given.store.append(ref(`killed-${choices.integer(0, 9)}`), events).then(
            (result) => acknowledged.push(result),
            (error: { code: string }) => {
              expect(error.code).toBe('CONNECTION_LOST');
              unknown.push(id);
            },
          );
        }
      }),
    );
    writing = false;
    await killer;

    const stored = await eventually(async () =>
      (await readAll(given.store)).filter(({ aggregate }) => aggregate.id.startsWith('killed-')),
    );
    tally('F4', {
      runs: kills,
      acknowledged: acknowledged.length,
      ...countCopies(
        acknowledged.flatMap(({ records }) => records.map(({ id }) => id)),
        stored.map(({ id }) => id),
      ),
    });
    const byId = new Map(stored.map((record) => [record.id, record]));
    expect(byId.size).toBe(stored.length);
    for (const { records, version, position } of acknowledged) {
      expect(byId.get(records[0]!.id)).toMatchObject({ version, position });
    }
    const accounted = new Set([...unknown, ...acknowledged.map(({ records }) => records[0]!.id)]);
    expect(stored.filter(({ id }) => !accounted.has(id))).toEqual([]);
    console.info(
      `${acknowledged.length} appends acknowledged, ${unknown.length} unknown to the caller.`,
    );
  });
});

async function readAll(store: TestStore) {
  const records = [];
  for await (const record of store.stream()) records.push(record);
  return records;
}
