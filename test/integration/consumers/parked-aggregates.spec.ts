import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { noRetry } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { Counted } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions } = given;

describe('an aggregate that is parked', () => {
  afterEach(() => tally('F16', { acknowledged: given.acknowledged }));

  it('keeps no event parked that came after its retry or the discard of its only event', async () => {
    let fixed = false;
    let reached = false;
    let goOn = (): void => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const { control } = await start(
      given.dataSource,
      given.store,
      [
        consumer(
          'parks',
          async (records, delivery, manager) => {
            const numbers = records.map(({ event }) => (event as Counted).by);
            if (numbers.includes(13) && !fixed) throw new Error('thirteen');
            if (numbers.includes(50)) {
              reached = true;
              await gate;
            }
            await recordInto(given.store.schema)(records, delivery, manager);
          },
          { onFailure: 'park', retry: noRetry },
        ),
      ],
      { leaseMs: 300 },
    );
    await control.waitFor('parks', (await append('a', 13)).position);
    // In one batch with a slow event, a later event is parked after the retry was requested.
    await given.store.appendAll([
      { aggregate: { type: 'counter', id: 'b' }, events: [new Counted(50)] },
      { aggregate: { type: 'counter', id: 'a' }, events: [new Counted(14)] },
    ]);
    await eventually(() => reached);
    fixed = true;
    await control.retryParked('parks');
    goOn();
    await eventually(async () => (await seenPositions('parks')).join() === '2,1,3');

    fixed = false;
    const { position } = await append('a', 13);
    await control.waitFor('parks', position);
    await control.discardParked('parks', position);
    await append('a', 15, 16);
    await eventually(async () => (await seenPositions('parks')).join() === '2,1,3,5,6');
    expect(await control.parked('parks')).toEqual([]);
  });

  it('is known even if the event cannot be read, and other partitions are unaffected', async () => {
    await append('a', 1);
    await given.superuser.query(`SET session_replication_role = replica;
      UPDATE "${given.store.schema}".domain_events SET revision = 9;
      SET session_replication_role = DEFAULT`);
    const { position } = await append('b', 2);
    const { control } = await start(given.dataSource, given.store, [
      consumer('parks', recordInto(given.store.schema), {
        onFailure: 'park',
        retry: noRetry,
        partitions: 3,
      }),
    ]);
    await control.waitFor('parks', position);
    expect(await seenPositions('parks')).toEqual([2]);
    expect(await control.parked('parks')).toMatchObject([{ aggregate: { id: 'a' }, events: 1 }]);
  });
});

describe('parked aggregates that are tried again', () => {
  const parkedCount = 40;

  it('are tried in turns with new events of others, and a stop waits for one of them', async () => {
    let fails = true;
    const handled: string[] = [];
    let haveCome!: () => void;
    const othersCame = new Promise<void>((resolve) => (haveCome = resolve));
    const { control, stop } = await start(given.dataSource, given.store, [
      consumer(
        'slow',
        async ([record]) => {
          if (fails) throw new Error('not yet');
          await delay(100);
          if (handled.length > 0) await othersCame;
          handled.push(record!.aggregate.id);
        },
        { kind: 'handler', retry: noRetry, onFailure: 'park' },
      ),
    ]);
    let last = 0;
    for (let n = 0; n < parkedCount; n++) last = (await append(`parked-${n}`, 1)).position;
    await control.waitFor('slow', last);
    expect(await control.parked('slow')).toHaveLength(parkedCount);
    fails = false;
    await control.retryParked('slow');
    await eventually(() => handled.length > 0);
    const { position } = await append('other', 1, 2, 3);
    haveCome();
    await control.waitFor('slow', position);
    expect(handled.filter((id) => id === 'other')).toHaveLength(3);
    // Not after all parked events.
    expect(handled.lastIndexOf('other')).toBeLessThan(parkedCount);
    const before = handled.length;
    await stop();
    expect(handled.length).toBeLessThanOrEqual(before + 2);

    const next = await start(given.dataSource, given.store, [
      consumer('slow', async ([record]) => void handled.push(record!.aggregate.id), {
        kind: 'handler',
      }),
    ]);
    await eventually(async () => (await next.control.parked('slow')).length === 0);
    // Each once, and later events are no longer parked.
    expect(new Set(handled).size).toBe(parkedCount + 1);
    expect(handled).toHaveLength(parkedCount + 3);
    await next.control.waitFor('slow', (await append('parked-0', 2)).position);
    expect(handled.at(-1)).toBe('parked-0');
  });

  it('are known without reading all of them again for each one that is parked', async () => {
    const query = jest.spyOn(pg.Client.prototype, 'query');
    const { control } = await start(given.dataSource, given.store, [
      consumer('parking', () => Promise.reject(new Error('never')), {
        ...{ kind: 'handler', retry: noRetry, onFailure: 'park' },
      }),
    ]);
    const { records } = await given.store
      .appendAll(
        Array.from({ length: 30 }, (_, n) => ({
          aggregate: { type: 'counter', id: `p-${n}` },
          events: [new Counted(n)],
        })),
      )
      .then((results) => results.at(-1)!);
    await control.waitFor('parking', records[0]!.position);
    const reads = query.mock.calls.filter(([statement]) =>
      (statement as { text?: string }).text?.includes('SELECT DISTINCT p.aggregate_type'),
    );
    query.mockRestore();
    expect(await control.parked('parking')).toHaveLength(30);
    expect(reads.length).toBeLessThanOrEqual(2);
  });
});
