import { describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { startConsumers } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { openStore } from '../../support/store.ts';
import { startProxy } from '../../support/tcp-proxy.ts';
import { useLetters } from './use-letters.ts';

const given = useLetters();
const { script, start, append, parking, state } = given;

describe('a position', () => {
  it('to rebuild from is at most the last one handled', async () => {
    const letters = await start([parking('handler')]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 2)).position);
    await control.pause('letters');
    await eventually(async () => (await state(letters)).status === 'paused');
    await append('a', 3, 4);
    await expect(control.rebuild('letters', { from: 3 })).rejects.toThrow(
      "The consumer 'letters' has come to position 2, and a rebuild that begins after 3 would " +
        "leave out what lies between. Call rebuild('letters', { from }) with 2 or less.",
    );
    expect((await state(letters)).rebuild).toBeNull();
    await control.rebuild('letters', { from: 2 });
    await control.resume('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    await eventually(() => script.effects.join() === '1,2,3,4');
  });

  it('to reset to is at most the end of the log', async () => {
    const { control } = await start([parking('handler')]);
    await control.waitFor('letters', (await append('a', 1, 2)).position);
    await expect(control.reset('letters', 3)).rejects.toThrow(
      "The consumer 'letters' cannot be put to position 3: the log ends at 2.",
    );
    await control.waitFor('letters', (await append('a', 3)).position);
    expect(script.effects).toEqual([1, 2, 3]);
  });
});

describe('a consumer that was never started', () => {
  it.each(['unheard of', '', 'a\0', 'a\ud800'])(
    'is unknown, whatever its name (%j)',
    async (name) => {
      const { control } = await start([parking('handler')]);
      for (const asked of [
        () => control.waitFor(name, 1),
        () => control.pause(name),
        () => control.resume(name),
        () => control.reset(name, 0),
        () => control.rebuild(name),
        () => control.cancelRebuild(name),
        () => control.parked(name),
        () => control.retryParked(name),
        () => control.discardParked(name, 1),
        () => control.skip(name, 1),
        () => control.skipped(name),
        () => control.forget(name),
      ]) {
        await expect(asked()).rejects.toMatchObject({ consumer: name, known: ['letters'] });
      }
      await control.waitFor('letters', (await append('a', 1)).position);
    },
  );
});

describe('a lost connection', () => {
  it('fails a read as not applied, and a change with an unknown outcome', async () => {
    await start([parking('handler')]);
    const proxy = await startProxy((given.dataSource.options as { url: string }).url);
    const proxied = new DataSource({ type: 'postgres', url: proxy.url, installExtensions: false });
    const proxiedStore = await openStore(await proxied.initialize(), {
      schema: given.store.schema,
    });
    const { control } = await startConsumers(proxied, proxiedStore, []);
    const lost = async (ask: () => Promise<unknown>): Promise<unknown> => {
      await control.parked('letters');
      proxy.interfere = () => 'lost';
      const error = await ask().catch((thrown: unknown) => thrown);
      proxy.interfere = () => undefined;
      return error;
    };
    const nothing = { code: 'CONNECTION_LOST', outcome: 'not-applied', retryable: true };
    for (const read of [() => control.waitFor('letters', 9), () => control.parked('letters')]) {
      expect(await lost(read)).toMatchObject(nothing);
    }
    const unknown = { ...nothing, outcome: 'unknown' };
    for (const change of [() => control.pause('letters'), () => control.resume('letters')]) {
      expect(await lost(change)).toMatchObject(unknown);
    }
    await proxied.destroy();
    await proxy.close();
  });
});

describe('a wait', () => {
  it('ends in time, even while all connections of the pool are taken', async () => {
    await start([parking('handler')]);
    const { position } = await append('a', 1);
    const single = await given.roles.dataSource('application', { max: 1 });
    const { control } = await startConsumers(
      single,
      await openStore(single, { schema: given.store.schema }),
      [],
    );
    // The transaction holds the only connection until the wait has ended.
    await single.transaction(async () => {
      await expect(control.waitFor('letters', position, { timeoutMs: 200 })).rejects.toThrow(
        "The consumer 'letters' did not reach 1 within 200 ms. The database has not said how far it is",
      );
    });
    await control.waitFor('letters', position);
    await eventually(async () => {
      const error = await control.waitFor('letters', 9, { timeoutMs: 1 }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'WAIT_TIMEOUT', reached: 1, retryable: true });
      return true;
    });
  });
});
