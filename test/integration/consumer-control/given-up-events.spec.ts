import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { useLetters } from './use-letters.ts';

const given = useLetters();
const { script, start, append, stopping, state, stopped } = given;

describe('an event that is given up', () => {
  const counter = (id: string) => ({ type: 'counter', id });

  it('by skip is the one that the consumer has stopped at, and the consumer continues after it', async () => {
    const letters = await start([stopping()]);
    const { control } = letters;
    const { position, records } = await append('a', 1, 13, 2);
    await stopped(letters);
    await expect(control.skip('letters', position)).rejects.toThrow(
      `The consumer 'letters' has stopped at position ${position - 1}, not at ${position}. Call ` +
        `skip('letters', ${position - 1}) if that event is to be left out.`,
    );
    await control.skip('letters', position - 1, { by: 'Ada', reason: 'sent by hand' });
    await control.waitFor('letters', position);
    expect(script.effects).toEqual([1, 2]);
    expect(await control.skipped('letters')).toEqual([
      {
        position: position - 1,
        eventId: records[1]!.id,
        aggregate: counter('a'),
        generation: 1,
        cause: 'skip',
        reason: 'sent by hand',
        error: 'Error: thirteen',
        failures: 1,
        by: 'Ada',
        at: expect.any(Date),
      },
    ]);
    await expect(control.skip('letters', position - 1)).rejects.toThrow(
      "The consumer 'letters' has not stopped, so there is no event to skip.",
    );
  });

  it('by skip of a partition or of a rebuild lets only that one continue', async () => {
    script.broken = false;
    const letters = await start([stopping({ kind: 'projection', batchSize: 2 })]);
    const { control } = letters;
    const { position } = await append('a', 1, 13, 2);
    await control.waitFor('letters', position);
    script.broken = true;
    await control.rebuild('letters');
    const next = async () =>
      (await state(letters)).partitions.find(({ generation }) => generation === 2)!;
    await eventually(async () => (await next()).status === 'stopped');
    await control.skip('letters', position - 1);
    await eventually(async () => (await state(letters)).generation === 2);
    expect(await control.skipped('letters')).toMatchObject([
      {
        generation: 2,
        position: position - 1,
        reason: 'skip()',
        by: given.roles.names.application,
      },
    ]);
  });

  it('by skip is the event that the consumer has seen, not another one at its position', async () => {
    const letters = await start([stopping()]);
    const { control } = letters;
    const { position } = await append('a', 13);
    await stopped(letters);
    // As after a failover to a standby that had not received the event, and another append.
    const superuser = await given.roles.database.dataSource();
    await superuser.query(`
      SET session_replication_role = replica;
      UPDATE "${given.store.schema}".domain_events SET event_id = gen_random_uuid()`);
    await superuser.destroy();
    await expect(control.skip('letters', position)).rejects.toThrow(
      `has stopped at position ${position}, and the log no longer has that event there.`,
    );
    expect(await state(letters)).toMatchObject({ status: 'stopped', position: 0 });
    expect(await control.skipped('letters')).toEqual([]);
  });

  it('by skip is refused if no event is to blame', async () => {
    const hooks = {
      prepare: () => {
        if (script.broken) throw new Error('no table');
      },
    };
    await expect(start([stopping({ kind: 'projection', hooks })])).rejects.toThrow('no table');
    script.broken = false;
    const letters = await start([stopping({ kind: 'projection', hooks })]);
    script.broken = true;
    await letters.control.rebuild('letters');
    await eventually(async () => (await state(letters)).partitions.at(-1)!.status === 'stopped');
    await expect(letters.control.skip('letters', 1)).rejects.toThrow(
      "The consumer 'letters' has stopped, but no event is to blame: Error: no table.",
    );
  });

  it('by the policy is kept with its error and the process, in the transaction that passes it', async () => {
    const letters = await start([stopping({ onFailure: 'skip' })]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    expect(script.effects).toEqual([1, 2]);
    const { owner } = (await state(letters)).partitions[0]!;
    expect(await control.skipped('letters')).toMatchObject([
      { position: 2, cause: 'policy', error: 'Error: thirteen', failures: 1, by: owner },
    ]);
  });

  it('by discardParked is kept, the last one first', async () => {
    const { control } = await start([stopping({ onFailure: 'park' })]);
    await control.waitFor('letters', (await append('a', 13)).position);
    await control.waitFor('letters', (await append('b', 13)).position);
    await control.discardParked('letters', 1);
    await control.discardParked('letters', 2, { by: 'Ada', reason: 'a test' });
    expect(await control.skipped('letters')).toMatchObject([
      { aggregate: counter('b'), cause: 'discard', by: 'Ada', reason: 'a test' },
      {
        aggregate: counter('a'),
        cause: 'discard',
        by: given.roles.names.application,
        reason: 'discardParked()',
        error: 'Error: thirteen',
      },
    ]);
    expect(await control.skipped('letters', { limit: 1 })).toHaveLength(1);
  });

  it('has a reason and a name that can be stored', async () => {
    const { control } = await start([stopping()]);
    for (const options of [{ by: '' }, { reason: 'a\0' }, { why: 'x' }]) {
      await expect(control.skip('letters', 1, options as object)).rejects.toThrow(TypeError);
    }
  });
});
