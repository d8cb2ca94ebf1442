import { beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import { Aggregate } from 'nest-event-store';
import type { DataSource } from 'typeorm';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

@Aggregate('counter')
class Counter extends AggregateRoot<object> {
  constructor(readonly id: string) {
    super();
  }
}

const ref = (id: string) => ({ type: 'counter', id });
const one = () => [new Counted(1)];

const database = useDatabase();

describe('while a transaction holds aggregates', () => {
  let dataSource: DataSource;
  /** Where the transactions run. */
  let holding: DataSource;
  let store: TestStore;

  beforeAll(async () => {
    dataSource = await database.dataSource({ poolSize: 12 });
    holding = await database.dataSource();
    store = await openStore(holding);
  });

  it('other appends take no longer, for ten seconds', async () => {
    const holdMs = 10_000;
    const patient = await openStore(dataSource, { lockTimeoutMs: 3 * holdMs });
    const held = ref('held');
    await store.append(held, one());
    const waiting: Promise<unknown>[] = [];
    const latencies: number[] = [];
    await holding.transaction(async (manager) => {
      await store.append(held, [], { manager, expectedVersion: 1 });
      const start = performance.now();
      for (let n = 0; performance.now() - start < holdMs; n++) {
        if (n % 20 === 0 && waiting.length < 20) waiting.push(patient.append(held, one()));
        const before = performance.now();
        await Promise.all([
          patient.append(ref(`free-${n % 50}`), one()),
          patient.append(ref(`free-new-${n}`), one()),
        ]);
        latencies.push(performance.now() - before);
      }
    });
    const releasedAt = performance.now();
    await Promise.all(waiting);
    const recoveryMs = performance.now() - releasedAt;
    tally('F9b', { acknowledged: 2 * latencies.length + waiting.length, recoveryMs });

    latencies.sort((x, y) => x - y);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)]!;
    console.info(
      `${latencies.length} rounds of free appends: p50 ${at(0.5).toFixed(1)} ms, ` +
        `p99 ${at(0.99).toFixed(1)} ms, slowest ${latencies.at(-1)!.toFixed(1)} ms`,
    );
    expect(at(0.99)).toBeLessThan(250);
    expect(latencies.at(-1)).toBeLessThan(2_000);
  });

  it('a snapshot and a removal fail when their time is up', async () => {
    const lockTimeoutMs = 300;
    const impatient = await openStore(dataSource, { lockTimeoutMs, allowRemoval: true });
    const held = ref('kept-from-snapshots');
    await store.append(held, one());
    await holding.transaction(async (manager) => {
      await store.append(held, one(), { manager });
      const failed = { code: 'AGGREGATE_LOCKED', waitedMs: lockTimeoutMs, aggregates: [held] };
      const start = performance.now();
      await expect(impatient.snapshot(held, {}, 1)).rejects.toMatchObject(failed);
      await expect(impatient.removeEvents(held)).rejects.toMatchObject(failed);
      expect(performance.now() - start).toBeLessThan(5_000);
    });
    await impatient.snapshot(held, {}, 2);
    expect(await impatient.removeEvents(held)).toBe(2);
  });

  it('waiting appends fail when their time is up, although they never had a connection', async () => {
    // More aggregates than connections may wait for.
    const held = Array.from({ length: 6 }, (_, n) => ref(`forgotten-${n}`));
    for (const aggregate of held) await store.append(aggregate, one());
    const lockTimeoutMs = 500;
    const impatient = await openStore(dataSource, { lockTimeoutMs });
    await holding.transaction(async (manager) => {
      for (const aggregate of held) {
        await store.append(aggregate, [], { manager, expectedVersion: 'exists' });
      }
      const start = performance.now();
      const outcomes = await Promise.allSettled(
        held.flatMap((aggregate) =>
          Array.from({ length: 10 }, (_, n) =>
            n % 5 === 4
              ? impatient.appendAll([{ aggregate, events: one() }])
              : impatient.append(aggregate, one()),
          ),
        ),
      );
      const codes = new Set(
        outcomes.map((each) => (each.status === 'rejected' ? each.reason.code : each.status)),
      );
      expect([...codes]).toEqual(['AGGREGATE_LOCKED']);
      // One after the other, they would take ten seconds.
      expect(performance.now() - start).toBeLessThan(10 * lockTimeoutMs);
    });
  });

  it('appends that wait for aggregates being created fail when their time is up', async () => {
    const created = Array.from({ length: 60 }, (_, n) => ref(`being-created-${n}`));
    const lockTimeoutMs = 1_000;
    const impatient = await openStore(dataSource, { lockTimeoutMs });
    await holding.transaction(async (manager) => {
      for (const aggregate of created) await store.append(aggregate, one(), { manager });
      const start = performance.now();
      const codes = await Promise.all(
        created.flatMap((aggregate) =>
          Array.from({ length: 10 }, () =>
            impatient.append(aggregate, one()).catch((error: { code: string }) => error.code),
          ),
        ),
      );
      expect(new Set(codes)).toEqual(new Set(['AGGREGATE_LOCKED']));
      // Ten seconds and more if each of them has to find out for itself.
      expect(performance.now() - start).toBeLessThan(5 * lockTimeoutMs);
    });
  });

  it('a call of execute succeeds after waiting for another one whose work met the lock', async () => {
    const impatient = await openStore(dataSource, { lockTimeoutMs: 500 });
    const options = { cacheSize: 0, onWarning: () => undefined };
    const counters = new AggregateRepositories(impatient, options).of(Counter);
    await store.append(ref('locked'), one());
    await store.append(ref('free'), one());
    await holding.transaction(async (manager) => {
      await store.append(ref('locked'), [], { manager, expectedVersion: 'exists' });
      const [met, waited] = await Promise.allSettled([
        counters.execute('free', async () => {
          await counters.execute('locked', (counter) => counter.apply(new Counted(1)));
        }),
        counters.execute('free', (counter) => counter.apply(new Counted(1))),
      ]);
      expect(met).toMatchObject({ reason: { code: 'AGGREGATE_LOCKED' } });
      expect(waited).toMatchObject({ status: 'fulfilled', value: { version: 2 } });
    });
  });

  it('all calls of execute that have waited as long fail together, not one after another', async () => {
    const lockTimeoutMs = 500;
    const impatient = await openStore(dataSource, { lockTimeoutMs });
    const options = { cacheSize: 0, onWarning: () => undefined };
    const counters = new AggregateRepositories(impatient, options).of(Counter);
    await store.append(ref('executed'), one());
    await holding.transaction(async (manager) => {
      await store.append(ref('executed'), [], { manager, expectedVersion: 'exists' });
      const start = performance.now();
      const codes = await Promise.all(
        Array.from({ length: 20 }, () =>
          counters
            .execute('executed', (counter) => counter.apply(new Counted(1)))
            .catch((error: { code: string }) => error.code),
        ),
      );
      expect(new Set(codes)).toEqual(new Set(['AGGREGATE_LOCKED']));
      // One after another, they would take ten seconds.
      expect(performance.now() - start).toBeLessThan(10 * lockTimeoutMs);
    });
  });
});
