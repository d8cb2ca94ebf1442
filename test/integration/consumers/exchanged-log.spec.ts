import { afterEach, describe, expect, it } from '@jest/globals';
import { consumer } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { tally } from '../../support/tally.ts';
import { recordInto, useConsumers } from './use-consumers.ts';

const given = useConsumers();
const { start, append, seenPositions } = given;

describe('a log that is not the one a consumer has read', () => {
  afterEach(() => tally('F18', { acknowledged: given.acknowledged }));

  /** As after a restore of the events to an earlier time: the event at a position is another one now. */
  const exchangeLast = (position: number) =>
    given.superuser.query(`SET session_replication_role = replica;
      UPDATE "${given.store.schema}".domain_events SET event_id = gen_random_uuid() WHERE position = ${position};
      SET session_replication_role = DEFAULT`);

  it('stops it instead of letting it continue', async () => {
    const all = [consumer('all', recordInto(given.store.schema))];
    const first = await start(given.dataSource, given.store, all);
    await first.control.waitFor('all', (await append('a', 1, 2, 3)).position);
    await first.stop();
    await exchangeLast(3);
    await append('a', 4);
    const { control } = await start(given.dataSource, given.store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      /^HistoryDivergedError: The log no longer holds what the consumer 'all' read up to position 3/,
    );
    await control.reset('all', 3);
    await control.waitFor('all', 4);
    expect(await seenPositions('all')).toEqual([1, 2, 3, 4]);
  });

  it('stops one that only renews its lease', async () => {
    const { control } = await start(
      given.dataSource,
      given.store,
      [consumer('all', recordInto(given.store.schema))],
      // Nothing is read meanwhile.
      { leaseMs: 600, pollIntervalMs: 86_400_000, listen: false },
    );
    await control.waitFor('all', (await append('a', 1, 2, 3)).position);
    // Then it has nothing more to save.
    await eventually(async () => (await control.list()).consumers[0]!.status === 'live');
    await exchangeLast(3);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    await append('a', 4);
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      /^HistoryDivergedError: .* up to position 3/,
    );
    expect(await seenPositions('all')).toEqual([1, 2, 3]);
  });

  it('commits nothing of a page that was read before', async () => {
    let reached = (): void => undefined;
    const begun = new Promise<void>((resolve) => (reached = resolve));
    let exchanged = (): void => undefined;
    const end = new Promise<void>((resolve) => (exchanged = resolve));
    const { schema } = given.store;
    await append('a', 1, 2, 3);
    const { control } = await start(given.dataSource, given.store, [
      consumer(
        'all',
        async (records, delivery, manager) => {
          await recordInto(schema)(records, delivery, manager);
          reached();
          await end;
        },
        { batchSize: 2 },
      ),
    ]);
    await begun;
    await exchangeLast(2);
    exchanged();
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect(await seenPositions('all')).toEqual([]);
    expect((await control.list()).consumers[0]!.position).toBe(0);
  });

  it('is followed after a rebuild, even if it is shorter than before', async () => {
    const all = [consumer('all', recordInto(given.store.schema), { partitions: 2 })];
    await append('a', 1, 2, 3);
    const first = await start(given.dataSource, given.store, all);
    await first.control.waitFor('all', 3);
    await first.stop();
    await given.dataSource.query(`UPDATE "${given.store.schema}".checkpoints SET position = 50`);
    const { control } = await start(given.dataSource, given.store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    await control.rebuild('all');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('all', (await append('a', 4)).position);
    expect(await seenPositions('all')).toEqual([1, 2, 3, 1, 2, 3, 4]);
  });
});
