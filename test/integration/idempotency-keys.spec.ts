import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';
import { Aggregate } from '../../lib/aggregates/aggregate.decorator.ts';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { consumer } from '../support/consumers.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

@Aggregate('counter')
class Counter extends AggregateRoot<object> {
  sum = 0;

  constructor(readonly id: string) {
    super();
  }

  count(by: number): number {
    this.apply(new Counted(by));
    return this.sum;
  }

  onCounted({ by }: Counted): void {
    this.sum += by;
  }
}

const ref = (id: string = randomUUID()) => ({ type: 'counter', id });

const database = useDatabase();

describe('an idempotency key', () => {
  let dataSource: DataSource;
  /** With a cache and a queue each, as two processes would have. */
  let stores: TestStore[];

  beforeAll(async () => {
    dataSource = await database.dataSource();
    stores = [await openStore(dataSource), await openStore(dataSource)];
  });

  const countersOf = (store: TestStore) =>
    new AggregateRepositories(store, { cacheSize: 100, onWarning: () => undefined }).of(Counter);

  it('stores one of many appends in several processes', async () => {
    const aggregate = ref();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        stores[n % 2]!.append(aggregate, [new Counted(n), new Counted(n)].slice(n % 2), {
          idempotencyKey: 'k',
        }),
      ),
    );
    expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(results.map(({ position }) => position)).size).toBe(1);
    expect(await stores[0]!.currentVersion(aggregate)).toBe(results[0]!.version);
  });

  it('counts in the transaction of a caller, and not if that is rolled back', async () => {
    const [store] = stores as [TestStore];
    const aggregate = ref();
    const append = (manager?: Parameters<Parameters<DataSource['transaction']>[1]>[0]) =>
      store.append(aggregate, [new Counted(1)], {
        idempotencyKey: 'k',
        ...(manager && { manager }),
      });
    const undone = dataSource.transaction(async (manager) => {
      expect(await append(manager)).toMatchObject({ version: 1, duplicate: false });
      expect(await append(manager)).toMatchObject({ version: 1, duplicate: true });
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await dataSource.transaction(async (manager) => {
      expect(await append(manager)).toMatchObject({ version: 1, duplicate: false });
    });
    await dataSource.transaction(async (manager) => {
      expect(await append(manager)).toMatchObject({ version: 1, duplicate: true });
      // The transaction is still usable.
      await store.append(aggregate, [new Counted(2)], { manager, expectedVersion: 1 });
    });
    expect(await append()).toMatchObject({ version: 1, duplicate: true });
    expect(await store.currentVersion(aggregate)).toBe(2);
  });

  it('counts for events of an inline projection', async () => {
    const store = await openStore(dataSource);
    store.applyInline([consumer('inline', () => Promise.resolve(), { kind: 'inline-projection' })]);
    const aggregate = ref();
    const appends = [3, 1, 2].map((count) =>
      store.append(
        aggregate,
        Array.from({ length: count }, () => new Counted(1)),
        { idempotencyKey: 'k' },
      ),
    );
    expect(
      (await Promise.all(appends)).map(({ version, duplicate }) => [version, duplicate]),
    ).toEqual([
      [3, false],
      [3, true],
      [3, true],
    ]);
  });

  it('stores the work of `execute` once, and does not run it again', async () => {
    const counters = stores.map(countersOf);
    const { id } = ref();
    await stores[0]!.append(ref(id), [new Counted(1)]);
    let runs = 0;
    const execute = (n: number, idempotencyKey: string | undefined) =>
      counters[n % 2]!.execute(
        id,
        (counter) => {
          runs++;
          return counter.count(10);
        },
        { idempotencyKey, retries: 20 },
      );

    const first = await execute(0, 'a');
    expect(first).toMatchObject({ version: 2, duplicate: false, result: 11 });
    await execute(1, undefined);
    for (const n of [0, 1]) {
      const again = await execute(n, 'a');
      expect(again).toEqual({ ...first, duplicate: true, result: undefined });
    }
    expect(runs).toBe(2);

    // At the same moment: each conflict is decided again, and finds what the other has stored.
    const results = await Promise.all(Array.from({ length: 10 }, (_, n) => execute(n, 'b')));
    expect(results.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    for (const { duplicate, result, version } of results) {
      expect([version, result]).toEqual([4, duplicate ? undefined : 31]);
    }
    expect((await counters[1]!.load(id)).sum).toBe(31);
    expect(await counters[0]!.execute(id, (counter) => counter.count(1))).toMatchObject({
      version: 5,
      result: 32,
    });
  });
});
