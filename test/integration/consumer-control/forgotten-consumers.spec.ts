import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { useLetters } from './use-letters.ts';

const { script, start, append, stopping, state } = useLetters();

describe('a consumer that is forgotten', () => {
  it('is removed, keeps its parked events as skipped, and begins again as a new one', async () => {
    const letters = await start([stopping({ onFailure: 'park' })]);
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    const { owner } = (await state(letters)).partitions[0]!;
    await expect(control.forget('letters')).rejects.toThrow(
      `The consumer 'letters' is run by ${owner}. Stop those processes,`,
    );
    await letters.stop();
    await control.forget('letters', { by: 'Ada' });
    expect((await control.list()).consumers).toEqual([]);
    expect(await control.skipped('letters')).toMatchObject([
      { position: 3, cause: 'forget', error: null, failures: 0 },
      { position: 2, cause: 'forget', error: 'Error: thirteen', by: 'Ada' },
    ]);
    await expect(control.forget('letters')).rejects.toMatchObject({ code: 'UNKNOWN_CONSUMER' });
    script.broken = false;
    await (await start([stopping()])).control.waitFor('letters', 3);
    expect(script.effects).toEqual([1, 1, 13, 2]);
  });

  it('is run by no process, not even by one that holds no partition of it', async () => {
    const first = await start([stopping()]);
    const second = await start([stopping()]);
    const { control } = first;
    await expect(control.forget('letters')).rejects.toThrow(/is run by \S+, \S+\. Stop those/);
    await first.stop();
    await expect(control.forget('letters')).rejects.toThrow(/is run by [^\s,]+\. Stop those/);
    await second.stop();
    await control.forget('letters');
  });

  it('cannot be one that a process is about to run', async () => {
    let letThrough = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letThrough = resolve));
    let arrived = false;
    const hooks = {
      prepare: async () => {
        arrived = true;
        await gate;
      },
    };
    const starting = start([stopping({ kind: 'projection', hooks })]);
    await eventually(() => arrived);
    const { control } = await start([]);
    const forgetting = control.forget('letters').catch((error: unknown) => error);
    letThrough();
    await starting;
    expect(await forgetting).toMatchObject({ code: 'CONSUMER_STATE' });
    await control.waitFor('letters', (await append('a', 1)).position);
  });
});
