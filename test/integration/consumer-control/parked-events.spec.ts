import { describe, expect, it } from '@jest/globals';
import { discardParked } from '../../../lib/postgres/subscriptions/parked-events.sql.ts';
import type { TestProcess } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { useLetters } from './use-letters.ts';

const given = useLetters();
const { script, start, append, parking, state, waiting } = given;

describe('a handler with parked events', () => {
  it('is neither rebuilt nor reset while it has them, because their effects would be lost', async () => {
    const { control } = await start([parking('handler')]);
    await control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    await expect(control.rebuild('letters')).rejects.toThrow(
      "The consumer 'letters' has 2 parked events, whose effects would be lost. Call " +
        "retryParked('letters'), or discardParked for what parked('letters') names, before " +
        "rebuild('letters').",
    );
    await expect(control.reset('letters', 0)).rejects.toThrow('has 2 parked events');
    script.broken = false;
    await control.retryParked('letters');
    await eventually(async () => (await control.parked('letters')).length === 0);
    await control.rebuild('letters');
    expect(script.effects).toEqual([1, 13, 2]);
  });

  it('stays in use until the events that it parked during its rebuild are dealt with', async () => {
    let arrived = false;
    let letThrough = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letThrough = resolve));
    const letters = await start(
      [
        parking('handler', async (by) => {
          if (by !== 13 || !script.broken) return;
          arrived = true;
          await gate;
        }),
      ],
      { leaseMs: 300 },
    );
    const { control } = letters;
    await control.waitFor('letters', (await append('a', 1)).position);
    const { position } = await append('a', 13);
    await eventually(() => arrived);
    await control.rebuild('letters');
    // The handler halts during the event, and parks it before it gives up its checkpoint.
    await eventually(async () => (await state(letters)).status === 'replaced');
    letThrough();
    await eventually(async () => {
      const next = (await state(letters)).partitions.find(({ generation }) => generation === 2);
      return /ConsumerStateError: .* has 1 parked event,.* before its rebuild takes over\.$/.test(
        next!.error!.message,
      );
    });
    await control.waitFor('letters', (await append('b', 2)).position);
    expect((await state(letters)).generation).toBe(1);
    script.broken = false;
    await control.retryParked('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    await control.waitFor('letters', (await append('b', 3)).position);
    expect(script.effects).toEqual([1, 2, 13, 3]);
    expect(position).toBe(2);
  });
});

describe('a projection with parked events', () => {
  it('has them applied by its rebuild', async () => {
    const letters = await start([parking('projection')]);
    await letters.control.waitFor('letters', (await append('a', 1, 13, 2)).position);
    script.broken = false;
    await letters.control.rebuild('letters');
    await eventually(async () => (await state(letters)).generation === 2);
    expect((await state(letters)).parkedEvents).toBe(0);
  });
});

/** Sends a request while a consumer is about to commit a parked event. */
async function askDuringPark<T>(
  letters: TestProcess,
  appendEvent: () => Promise<unknown>,
  ask: () => Promise<T>,
): Promise<T> {
  let answer: Promise<T> | undefined;
  let isSettled = false;
  // From here on, the consumer has nothing else to write.
  await eventually(async () => (await state(letters)).status === 'live');
  await given.owner.transaction(async (manager) => {
    // The transaction that parks ends with the checkpoint, which it has to wait for.
    await manager.query(`SELECT FROM "${given.store.schema}".checkpoints FOR UPDATE`);
    await appendEvent();
    await eventually(async () => (await waiting()) === 1);
    answer = ask();
    const settled = () => (isSettled = true);
    answer.then(settled, settled);
    await eventually(async () => isSettled || (await waiting()) === 2);
  });
  return answer!;
}

describe('a request while an event is being parked', () => {
  it('to discard the event before it lets it be tried next', async () => {
    const letters = await start([parking('projection')], { leaseMs: 60_000 });
    const { control } = letters;
    const { position } = await append('a', 13);
    await control.waitFor('letters', position);
    await askDuringPark(
      letters,
      () => append('a', 2),
      () => control.discardParked('letters', position),
    );
    await eventually(async () => (await control.parked('letters')).length === 0);
    expect(script.effects).toEqual([2]);
  });

  it('to reset the consumer is refused', async () => {
    const letters = await start([parking('handler')], { leaseMs: 60_000 });
    const asked = askDuringPark(
      letters,
      () => append('a', 13),
      () => letters.control.reset('letters', 0),
    );
    await expect(asked).rejects.toThrow('has 1 parked event,');
  });
});

describe('a parked event that fails again while it is being discarded', () => {
  it('does not keep the one after it from being tried', async () => {
    let isTriedAgain = false;
    let fail = (): void => undefined;
    const gate = new Promise<void>((resolve) => (fail = resolve));
    const letters = await start([
      parking('handler', async (by) => {
        if (by !== 13 || !script.broken) return;
        const [parked] = await letters.control.parked('letters');
        if (!parked) return;
        isTriedAgain = true;
        await gate;
      }),
    ]);
    const { control } = letters;
    const { position } = await append('a', 13);
    await control.waitFor('letters', (await append('a', 2)).position);
    await control.retryParked('letters');
    await eventually(() => isTriedAgain);
    await given.owner.transaction(async (manager) => {
      await manager.query(discardParked(given.store.schema), ['letters', position, null, null]);
      fail();
      await eventually(async () => (await waiting()) === 1);
    });
    await eventually(async () => (await control.parked('letters')).length === 0);
    expect(script.effects).toEqual([2]);
  });
});
