import { describe, expect, it } from '@jest/globals';
import { noRetry } from 'nest-event-store';
import { channelOf } from '../../../lib/postgres/subscriptions/postgres.signals.ts';
import { consumer } from '../../support/consumers.ts';
import { eventually, patiently } from '../../support/eventually.ts';
import { eventuallyRejects } from '../../support/eventually-rejects.ts';
import { Counted, openStore } from '../../support/store.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions, logPositions } = given;

describe('a projection', () => {
  it('applies every past and every future event once', async () => {
    await append('a', 1, 2, 3);
    const { control } = await start(given.dataSource, given.store, [
      consumer('all', recordInto(given.store.schema), { batchSize: 2 }),
    ]);
    await append('b', 4);
    const { position } = await append('a', 5);
    await control.waitFor('all', position);
    expect(await seenPositions('all')).toEqual(await logPositions());
    const { consumers } = await control.list();
    expect(consumers).toMatchObject([
      { name: 'all', generation: 1, position, lagEvents: 0, lagMs: 0, parkedEvents: 0 },
    ]);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'live');
  });

  it('moves to another process when its own stops', async () => {
    const both = [consumer('all', recordInto(given.store.schema))];
    // The test does not wait for the end of this lease.
    const first = await start(given.dataSource, given.store, both, {
      leaseMs: 10 * patiently.timeoutMs,
    });
    await first.control.waitFor('all', (await append('a', 1)).position);
    await start(given.dataSource, given.store, both);
    await first.stop();
    const { position } = await append('a', 2);
    await first.control.waitFor('all', position);
    expect(await seenPositions('all')).toEqual(await logPositions());
  });
});

describe('an append of another process', () => {
  it('is noticed at once, and without LISTEN by polling', async () => {
    const slowPoll = { pollIntervalMs: 60_000, leaseMs: 3_600_000 };
    const { control } = await start(
      given.dataSource,
      given.store,
      [consumer('told', recordInto(given.store.schema))],
      slowPoll,
    );
    const polling = { pollIntervalMs: 50, listen: false };
    await start(
      given.dataSource,
      given.store,
      [consumer('polls', recordInto(given.store.schema))],
      polling,
    );
    const other = await openStore(given.dataSource, { schema: given.store.schema });
    const { position } = await other.append({ type: 'counter', id: 'x' }, [new Counted(1)]);
    await given.dataSource.query('SELECT pg_notify($1, $2)', [
      channelOf(given.store.schema),
      'append',
    ]);
    await control.waitFor('told', position);
    await control.waitFor('polls', position);
    expect(await seenPositions('told')).toEqual([position]);
  });
});

describe('a pause', () => {
  it('lasts until it is resumed', async () => {
    const { control } = await start(given.dataSource, given.store, [
      consumer('all', recordInto(given.store.schema)),
    ]);
    await control.waitFor('all', (await append('a', 1)).position);
    await control.pause('all');
    await eventually(async () => (await control.list()).consumers[0]!.status === 'paused');
    const { position } = await append('a', 2);
    await eventuallyRejects(
      () => control.waitFor('all', position, { timeoutMs: 200 }),
      'It is paused',
    );
    await control.resume('all');
    await control.waitFor('all', position);
    await expect(control.pause('al')).rejects.toThrow("There is no consumer 'al'");
  });

  it('of a consumer that has stopped ends together with the stop', async () => {
    let broken = true;
    const { schema } = given.store;
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'fixed',
        async (records, delivery, manager) => {
          if (broken) throw new Error('broken');
          await recordInto(schema)(records, delivery, manager);
        },
        { retry: noRetry },
      ),
    ]);
    const { position } = await append('a', 1);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    await control.pause('fixed');
    broken = false;
    await control.resume('fixed');
    await control.waitFor('fixed', position);
    expect(await seenPositions('fixed')).toEqual([1]);
  });

  it('that was never requested can be resumed without an effect', async () => {
    const { control } = await start(given.dataSource, given.store, [
      consumer('all', recordInto(given.store.schema)),
    ]);
    await control.resume('all');
    await control.waitFor('all', (await append('a', 1)).position);
    await control.resume('all');
    await control.waitFor('all', (await append('a', 2)).position);
    expect(await seenPositions('all')).toEqual([1, 2]);
  });
});
