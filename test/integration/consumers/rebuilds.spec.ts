import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { GenerationScope } from '../../../lib/subscriptions/consumer.ts';
import { noRetry } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { eventuallyRejects } from '../../support/eventually-rejects.ts';
import { Counted } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions, logPositions } = given;

describe('a rebuild', () => {
  afterEach(() => tally('F20', { acknowledged: given.acknowledged }));

  const tables = (schema: string) => ({
    prepare: async ({ generation, manager }: GenerationScope) => {
      await manager.query(`CREATE TABLE "${schema}".sum_${generation} (by integer)`);
    },
    activate: async ({ generation, manager }: GenerationScope) => {
      await manager.query(
        `CREATE OR REPLACE VIEW "${schema}".sum AS SELECT by FROM "${schema}".sum_${generation}`,
      );
    },
    discard: async ({ generation, manager }: GenerationScope) => {
      await manager.query(`DROP TABLE "${schema}".sum_${generation}`);
    },
  });
  const replays: boolean[] = [];
  const summing = (options: Partial<Parameters<typeof consumer>[2]> = {}) => {
    const { schema } = given.store;
    return consumer(
      'sum',
      async (records, { generation, replayed }, manager) => {
        if (generation > 1) replays.push(replayed);
        await manager!.query(
          `INSERT INTO "${schema}".sum_${generation} SELECT * FROM unnest($1::integer[])`,
          [records.map(({ event }) => (event as Counted).by)],
        );
      },
      { hooks: tables(schema), batchSize: 2, ...options },
    );
  };
  const sum = async (): Promise<number> =>
    (
      await given.dataSource.query(
        `SELECT coalesce(sum(by), 0)::integer AS sum FROM "${given.store.schema}".sum`,
      )
    )[0].sum;
  const generations = async (): Promise<string[]> =>
    (
      await given.dataSource.query(
        `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relname LIKE 'sum_%'`,
        [given.store.schema],
      )
    ).map(({ relname }: { relname: string }) => relname);

  it('answers from the old generation until the new one has caught up', async () => {
    const { control } = await start(given.dataSource, given.store, [summing()]);
    await control.waitFor('sum', (await append('a', 1, 2, 3, 4, 5)).position);
    expect(await control.rebuild('sum', { eventsPerSecond: 50 })).toBe(2);
    await expect(control.rebuild('sum')).rejects.toThrow('is being rebuilt as generation 2');
    const { rebuild } = (await control.list()).consumers[0]!;
    expect(rebuild).toMatchObject({ generation: 2, target: 5 });
    for (const by of [6, 7, 8]) await append('b', by);
    await eventually(async () => {
      expect(await sum()).toBeGreaterThanOrEqual(15);
      return (await control.list()).consumers[0]!.generation === 2;
    });
    await control.waitFor('sum', (await append('a', 100)).position);
    const { records } = await given.store.fetch();
    const expected = records.reduce((total, { event }) => total + (event as Counted).by, 0);
    expect(await sum()).toBe(expected);
    expect(await generations()).toEqual(['sum_2']);
    expect(replays[0]).toBe(true);
    expect(replays.at(-1)).toBe(false);
  });

  it('can be cancelled, and then everything is as it was', async () => {
    const { control } = await start(given.dataSource, given.store, [summing()]);
    await control.waitFor('sum', (await append('a', 1, 2, 3, 4, 5)).position);
    await control.rebuild('sum', { eventsPerSecond: 1 });
    await eventually(async () => (await generations()).includes('sum_2'));
    await control.cancelRebuild('sum');
    expect(await generations()).toEqual(['sum_1']);
    await control.waitFor('sum', (await append('a', 6)).position);
    expect(await sum()).toBe(21);
    await expect(control.cancelRebuild('sum')).rejects.toThrow('is not being rebuilt');
  });

  it('of a handler repeats no effect, and leaves none out', async () => {
    const effects: number[] = [];
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'effects',
        async ([record], { replayed }) => {
          await delay(2);
          if (!replayed) effects.push(record!.position);
        },
        { kind: 'handler' },
      ),
    ]);
    await append('a', 1, 2, 3, 4, 5);
    await control.rebuild('effects');
    await eventually(async () => {
      await append('a', 6);
      return (await control.list()).consumers[0]!.generation === 2;
    });
    await control.waitFor('effects', (await append('a', 7)).position);
    expect(effects).toEqual(await logPositions());
  });

  it('of a handler goes no further than the generation in use, which may stop early', async () => {
    const effects: string[] = [];
    let inHand = false;
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'slow',
        async ([record], { generation, replayed }) => {
          const { position } = record!;
          if (generation === 1 && position === 3) {
            inHand = true;
            await gate;
          }
          effects.push(`${generation}: ${position}${replayed ? ' replayed' : ''}`);
        },
        { kind: 'handler' },
      ),
    ]);
    const { position } = await append('a', 1, 2, 3, 4);
    await eventually(() => inHand);
    await control.rebuild('slow');
    await append('b', 5);
    // The generation in use gives its checkpoint up as soon as it has finished the current event.
    const isHalted = `SELECT FROM "${given.store.schema}".checkpoints WHERE status = 'replaced'`;
    await eventually(async () => (await given.dataSource.query(isHalted)).length === 1);
    letGo();
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('slow', position + 1);
    expect(
      effects.filter((each) => !each.includes('replayed')).map((each) => each.slice(3)),
    ).toEqual(['1', '2', '3', '4', '5']);
  });

  it('takes over once all of its partitions have caught up', async () => {
    const ids = ['p0', 'p1', 'p2', 'p3'];
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const rebuilt: string[] = [];
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'parts',
        async (records, { generation }) => {
          if (generation === 1) return;
          const aggregates = records.map(({ aggregate }) => aggregate.id);
          if (aggregates.includes('p0')) await gate;
          rebuilt.push(...aggregates);
        },
        { partitions: 4 },
      ),
    ]);
    for (const id of ids) await append(id, 1);
    await control.waitFor('parts', ids.length);
    await control.rebuild('parts');
    // One partition is held up. Whenever another one comes to the end of the log, it tries to take over;
    // the generation in use continues meanwhile.
    for (const before of [0, 1, 2, 3]) {
      await eventually(() => rebuilt.length > before);
      await control.waitFor('parts', (await append(rebuilt[0]!, 2)).position);
    }
    expect((await control.list()).consumers[0]).toMatchObject({ generation: 1, rebuild: {} });
    letGo();
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    expect(new Set(rebuilt)).toEqual(new Set(ids));
  });

  it('repeats a hook that lost its connection', async () => {
    const attempts: number[] = [];
    const { control } = await start(given.dataSource, given.store, [
      consumer('hooked', recordInto(given.store.schema), {
        hooks: {
          prepare: async ({ generation, manager }) => {
            attempts.push(generation);
            if (attempts.length > 2) return;
            if (generation === 2)
              await manager.query('SELECT pg_terminate_backend(pg_backend_pid())');
          },
        },
      }),
    ]);
    await control.rebuild('hooked');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    expect(attempts).toEqual([1, 2, 2]);
  });

  it('repairs a projection that has stopped', async () => {
    let broken = true;
    const { schema } = given.store;
    const { control } = await start(given.dataSource, given.store, [
      summing(),
      consumer(
        'fixed',
        async (records, delivery, manager) => {
          if (broken) throw new Error('broken');
          await recordInto(schema)(records, delivery, manager);
        },
        { retry: noRetry },
      ),
    ]);
    const { position } = await append('a', 1, 2);
    const status = async () =>
      (await control.list()).consumers.find(({ name }) => name === 'fixed')!.status;
    await eventually(async () => (await status()) === 'stopped');
    await eventuallyRejects(
      () => control.waitFor('fixed', position, { timeoutMs: 10 }),
      "It has stopped: Error: broken. Fix it, then call resume('fixed').",
    );
    broken = false;
    await control.rebuild('fixed');
    await control.waitFor('fixed', position);
    expect(await seenPositions('fixed')).toEqual([1, 2]);
  });
});
