import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { exponentialBackoff, noRetry } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { Counted } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions } = given;

describe('an event that fails', () => {
  afterEach(() => tally('F16', { acknowledged: given.acknowledged }));

  it('is tried again with a growing delay, and then stops its consumer', async () => {
    const attempts: number[] = [];
    await append('a', 1, 13, 2);
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'stops',
        async (records, { attempt }, manager) => {
          await recordInto(given.store.schema)(
            records,
            { consumer: 'stops', generation: 1, replayed: false, attempt },
            manager,
          );
          if (records.some(({ event }) => (event as Counted).by === 13)) {
            if (records.length === 1) attempts.push(attempt);
            throw new Error('thirteen');
          }
        },
        { retry: exponentialBackoff({ retries: 2, firstDelayMs: 5 }) },
      ),
    ]);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect(attempts).toEqual([1, 2, 3]);
    expect(await seenPositions('stops')).toEqual([1]);
    expect((await control.list()).consumers[0]).toMatchObject({
      position: 1,
      partitions: [{ error: { message: 'Error: thirteen', position: 2, failures: 3 } }],
    });
  });

  it('is parked with later ones of its aggregate, while other aggregates continue, and applied later in order', async () => {
    let fixed = false;
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'parks',
        async (records, delivery, manager) => {
          if (!fixed && records.some(({ event }) => (event as Counted).by === 13)) {
            throw new Error('thirteen');
          }
          await recordInto(given.store.schema)(records, delivery, manager);
        },
        { onFailure: 'park', retry: noRetry },
      ),
    ]);
    await append('a', 1, 13, 2);
    await append('b', 4);
    const { position } = await append('a', 3);
    await control.waitFor('parks', position);
    expect(await seenPositions('parks')).toEqual([1, 4]);
    expect(await control.parked('parks')).toMatchObject([
      { aggregate: { type: 'counter', id: 'a' }, position: 2, events: 3 },
    ]);
    expect(await control.retryParked('parks')).toBe(3);
    await eventually(async () => {
      const [parked] = await control.parked('parks');
      return parked!.failure.failures === 2 && !parked!.retrying;
    });
    fixed = true;
    await control.retryParked('parks', { type: 'counter', id: 'a' });
    await eventually(async () => (await control.parked('parks')).length === 0);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5]);
    await control.waitFor('parks', (await append('a', 6)).position);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5, 6]);
  });
});

describe('a batch that takes longer than the database allows', () => {
  it.each([
    ['a transaction', 'transaction_timeout', '25P04', () => delay(50)],
    [
      'a statement',
      'statement_timeout',
      '57014',
      (manager: EntityManager, events: number) =>
        manager.query('SELECT pg_sleep($1)', [events * 0.05]),
    ],
  ])('for %s is halved until it fits, and reports why', async (_, setting, code, work) => {
    const [{ server_version_num: version }] =
      await given.dataSource.query('SHOW server_version_num');
    if (setting === 'transaction_timeout' && Number(version) < 170_000) return;
    await append('a', ...Array.from({ length: 20 }, (__, n) => n));
    const { schema } = given.store;
    const batches: number[] = [];
    const { control, messages } = await start(given.dataSource, given.store, [
      consumer('limited', async (records, delivery, manager) => {
        batches.push(records.length);
        // Batches that fit have no limit, because a busy machine may need more time for them.
        if (records.length > 5) await manager!.query(`SET LOCAL ${setting} = '400ms'`);
        await recordInto(schema)(records, delivery, manager);
        if (setting === 'statement_timeout') await work(manager!, records.length);
        else for (let n = 0; n < records.length; n++) await work(manager!, 1);
      }),
    ]);
    await control.waitFor('limited', 20);
    expect(await seenPositions('limited')).toEqual(Array.from({ length: 20 }, (__, n) => n + 1));
    expect(batches.slice(0, 3)).toEqual([20, 10, 5]);
    expect(messages.join('\n')).toContain(
      setting === 'transaction_timeout' ? code : 'statement timeout',
    );
  });
});

describe('a handler that hangs', () => {
  it('is timed out, and its transaction is rolled back', async () => {
    let hangs = true;
    const { schema } = given.store;
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'hangs',
        async (records, delivery, manager) => {
          await recordInto(schema)(records, delivery, manager);
          if (hangs) await new Promise(() => undefined);
        },
        {
          timeoutMs: 100,
          retry: exponentialBackoff({ retries: 10_000, firstDelayMs: 5, maxDelayMs: 5 }),
        },
      ),
    ]);
    const { position } = await append('a', 1);
    await eventually(async () => {
      const [state] = (await control.list()).consumers;
      return /HandlerTimeoutError/.test(state!.partitions[0]!.error?.message ?? '');
    });
    hangs = false;
    await control.waitFor('hangs', position);
    expect(await seenPositions('hangs')).toEqual([1]);
    tally('F16', { acknowledged: given.acknowledged });
  });
});
