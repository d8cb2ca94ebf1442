import { describe, expect, it } from '@jest/globals';
import { exponentialBackoff } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer, type TestProcess } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { Counted } from '../../support/store.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions } = given;

/** Leaves a partition in the state in which a killed owner leaves it. */
async function diedWith(
  name: string,
  { leaseMs, leaseLeftMs, partition }: { leaseMs: number; leaseLeftMs: number; partition: number },
): Promise<void> {
  await given.dataSource.query(
    `INSERT INTO "${given.store.schema}".consumer_processes
     VALUES ('dead', ARRAY[$1], true, $2, clock_timestamp() + $3 * interval '1 ms')`,
    [name, leaseMs, leaseLeftMs],
  );
  await given.dataSource.query(
    `UPDATE "${given.store.schema}".checkpoints SET owner = 'dead' WHERE consumer = $1 AND partition = $2`,
    [name, partition],
  );
}

describe('the number of partitions', () => {
  it('can change while the consumer is in use: nothing is left out, doubled or reordered', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `p${n}`);
    const appendToAll = async (by: number): Promise<number> => {
      const results = await Promise.all(ids.map((id) => append(id, by, by + 1)));
      return Math.max(...results.map(({ position }) => position));
    };
    let hold: string | undefined = 'p3';
    const slowly = (partitions: number) =>
      consumer(
        'parts',
        async (records, delivery, manager) => {
          // One partition lags behind the others when the number changes.
          if (records.some(({ aggregate }) => aggregate.id === hold)) throw new Error('held');
          await recordInto(given.store.schema)(records, delivery, manager);
        },
        {
          partitions,
          batchSize: 2,
          retry: exponentialBackoff({ retries: 1_000, firstDelayMs: 5, maxDelayMs: 20 }),
        },
      );
    const three = await start(given.dataSource, given.store, [slowly(3)]);
    await appendToAll(1);
    await eventually(async () => (await seenPositions('parts')).length >= 10);
    await three.stop();
    const five = await start(given.dataSource, given.store, [slowly(5)]);
    await appendToAll(3);
    await eventually(async () => (await seenPositions('parts')).length >= 20);
    await five.stop();
    hold = undefined;
    const { control } = await start(given.dataSource, given.store, [slowly(2)]);
    await control.waitFor('parts', await appendToAll(5));

    const seen = await given.dataSource.query(
      `SELECT aggregate, array_agg(by ORDER BY n) AS by FROM "${given.store.schema}".seen GROUP BY 1`,
    );
    expect(seen).toHaveLength(12);
    for (const { by } of seen) expect(by).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('changes once its owners have finished their current events, none of them twice', async () => {
    const handled: string[] = [];
    let inHand: string | undefined;
    let letGo = (): void => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const each = (process: string, partitions: number) =>
      consumer(
        'beside',
        async ([record]) => {
          const { aggregate, event } = record!;
          const { by } = event as Counted;
          if (aggregate.id === 'a' && by === 1) {
            inHand = process;
            await gate;
          }
          handled.push(`${aggregate.id}${by} ${process}`);
        },
        { kind: 'handler', partitions },
      );
    const first = await start(given.dataSource, given.store, [each('first', 3)]);
    await append('a', 1, 2);
    await eventually(() => inHand === 'first');
    const { control } = await start(given.dataSource, given.store, [each('second', 5)]);
    await append('b', 1);
    const owners = async (): Promise<(string | null)[]> =>
      (await control.list()).consumers[0]!.partitions.map(({ owner }) => owner);
    await eventually(async () => (await owners()).filter((owner) => owner === null).length === 2);
    // Both processes check again, and leave the partition with the current event alone.
    const [{ now }] = await given.dataSource.query('SELECT clock_timestamp() AS now');
    await eventually(async () => {
      const late = await given.dataSource.query(
        `SELECT FROM "${given.store.schema}".consumer_processes
         WHERE lease_expires_at <= $1::timestamptz + interval '1 second'`,
        [now],
      );
      return late.length === 0;
    });
    expect(await owners()).toHaveLength(3);
    expect(handled).not.toContain('a1 second');

    letGo();
    await eventually(async () => (await owners()).filter(Boolean).length === 5);
    await control.waitFor('beside', await append('a', 3).then(({ position }) => position));
    expect(handled.filter((one) => one.startsWith('a')).map((one) => one.slice(0, 2))).toEqual([
      'a1',
      'a2',
      'a3',
    ]);
    expect(handled).toContain('a1 first');
    expect(new Set(await owners()).size).toBe(2);
    await first.stop();
  });

  it('waits for a dead owner no longer than its lease', async () => {
    const each = (partitions: number) =>
      consumer('orphans', recordInto(given.store.schema), { partitions });
    await (await start(given.dataSource, given.store, [each(3)])).stop();
    await diedWith('orphans', { leaseMs: 500, leaseLeftMs: 500, partition: 1 });
    const { control } = await start(given.dataSource, given.store, [each(2)], { leaseMs: 300 });
    const { position } = await append('a', 1);
    await control.waitFor('orphans', position);
    expect(await seenPositions('orphans')).toEqual([position]);
    expect((await control.list()).consumers[0]!.partitions).toHaveLength(2);
  });

  it('is spread over the processes that run the consumer', async () => {
    const each = () => [consumer('spread', recordInto(given.store.schema), { partitions: 4 })];
    const owners = async (control: TestProcess['control']): Promise<number[]> => {
      const { partitions } = (await control.list()).consumers[0]!;
      const counts = new Map<string | null, number>();
      for (const { owner } of partitions) counts.set(owner, (counts.get(owner) ?? 0) + 1);
      return [...counts.values()].toSorted((a, b) => a - b);
    };
    const { control } = await start(given.dataSource, given.store, each(), { leaseMs: 300 });
    expect(await owners(control)).toEqual([4]);
    const second = await start(given.dataSource, given.store, each(), { leaseMs: 300 });
    await eventually(async () => (await owners(control)).join() === '2,2');
    await second.stop();
    await eventually(async () => (await owners(control)).join() === '4');
  });
});
