import { describe, expect, it, jest } from '@jest/globals';
import {
  AggregateInUseError,
  AutoCommitUnsupportedError,
  LostEventsError,
  WrongExpectedVersionError,
} from 'nest-event-store';
import { Basket, ItemAdded, MixedBasket, PlainBasket, useBaskets } from './use-baskets.ts';

const given = useBaskets();
const { repositoryOf, ref, versionOf, filled } = given;

describe('saving', () => {
  it('appends what was applied, in order, and clears it', async () => {
    const basket = new Basket(given.id);
    basket.add('pen');
    basket.add('ink', 2);
    expect(given.baskets.versionOf(basket)).toBe(0);
    const saved = await given.baskets.save(basket, { metadata: { actor: 'ada' } });
    expect(saved).toMatchObject({ version: 2, duplicate: false });
    expect(saved.records.map(({ event }) => event)).toEqual([
      new ItemAdded('pen'),
      new ItemAdded('ink', 2),
    ]);
    expect(saved.records.map(({ metadata }) => metadata)).toEqual([
      { actor: 'ada' },
      { actor: 'ada' },
    ]);
    expect(basket.getUncommittedEvents()).toEqual([]);
    expect(given.baskets.versionOf(basket)).toBe(2);

    basket.checkOut();
    expect((await given.baskets.save(basket)).version).toBe(3);
  });

  it('without new events does nothing', async () => {
    const basket = await filled('pen');
    const position = await given.store.currentPosition();
    const nothing = { version: 1, position, records: [], duplicate: false };
    expect(await given.baskets.save(basket)).toEqual(nothing);
    expect(await given.baskets.save(await given.baskets.load(given.id))).toEqual(nothing);
    expect(await given.baskets.execute(given.id, () => 'nothing')).toMatchObject(nothing);
    const unsaved = { ...nothing, version: 0, position: 0 };
    expect(await given.baskets.save(new Basket(`${given.id}-new`))).toEqual(unsaved);
    expect(await given.store.currentPosition()).toBe(position);
  });

  it('is refused if another save came after the load, and keeps the events', async () => {
    await filled('pen');
    const [first, second] = await Promise.all([
      given.baskets.load(given.id),
      given.baskets.load(given.id),
    ]);
    expect(first).not.toBe(second);
    first.add('ink');
    second.add('paper');
    await given.baskets.save(first);
    await expect(given.baskets.save(second)).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      aggregate: ref(),
      expectedVersion: 1,
      actualVersion: 2,
    });
    expect(second.getUncommittedEvents()).toEqual([new ItemAdded('paper')]);
    const clash = new Basket(given.id);
    clash.add('glue');
    await expect(given.baskets.save(clash)).rejects.toThrow(WrongExpectedVersionError);
    expect(await versionOf()).toBe(2);
  });

  it('leaves events that are applied meanwhile for the next save', async () => {
    const basket = await filled('pen');
    basket.add('ink');
    basket.add('paper');
    const saving = given.baskets.save(basket);
    basket.add('glue', 5);
    expect((await saving).version).toBe(3);
    expect(basket.getUncommittedEvents()).toEqual([new ItemAdded('glue', 5)]);
    // The state of the instance is ahead of the version that was due for a snapshot.
    expect(await given.store.getSnapshot(ref())).toEqual({
      version: 3,
      state: { items: { pen: 1, ink: 1, paper: 1 }, isCheckedOut: false },
    });

    expect((await given.baskets.save(basket)).version).toBe(4);
    expect((await given.baskets.load(given.id)).items).toEqual({
      pen: 1,
      ink: 1,
      paper: 1,
      glue: 5,
    });
    expect(basket.items).toEqual({ pen: 1, ink: 1, paper: 1, glue: 5 });
  });

  it('one instance twice at once is refused', async () => {
    const basket = new Basket(given.id);
    basket.add('pen');
    const saving = given.baskets.save(basket);
    await expect(given.baskets.save(basket)).rejects.toThrow(AggregateInUseError);
    await saving;
    expect(await versionOf()).toBe(1);
    basket.add('ink');
    expect((await given.baskets.save(basket)).version).toBe(2);
  });

  it('is refused with autoCommit, which publishes events and keeps none', async () => {
    const basket = new Basket(given.id);
    basket.autoCommit = true;
    basket.add('pen');
    await expect(given.baskets.save(basket)).rejects.toThrow(AutoCommitUnsupportedError);
    expect(await versionOf()).toBe(0);
  });

  it('is refused after autoCommit has published an event, even once it is off again', async () => {
    const basket = await filled('pen');
    basket.autoCommit = true;
    basket.add('ink');
    basket.autoCommit = false;
    basket.add('paper');
    await expect(given.baskets.save(basket)).rejects.toThrow(LostEventsError);
    expect(await versionOf()).toBe(1);
  });

  it('is refused after uncommit has discarded events that the state still has', async () => {
    const basket = await filled('pen');
    basket.uncommit();
    basket.add('ink');
    basket.uncommit();
    await expect(given.baskets.save(basket)).rejects.toMatchObject({
      constructor: LostEventsError,
      aggregate: { type: 'basket', id: given.id },
    });
    const discarding = given.baskets.execute(given.id, (loaded) => {
      loaded.add('ink');
      loaded.uncommit();
    });
    await expect(discarding).rejects.toThrow(LostEventsError);
    expect(await versionOf()).toBe(1);
  });

  it.each([undefined, null, {}, new PlainBasket('b'), 'text '.repeat(20)])(
    'refuses a value that is no instance of its class, without showing it: %p',
    async (value) => {
      await expect(given.baskets.save(value as Basket)).rejects.toThrow(
        /^save: the aggregate must be an instance of Basket, got .{2,80}\.$/,
      );
    },
  );

  it('stores what was applied, whatever is done to the list of uncommitted events', async () => {
    const basket = await filled('pen');
    basket.add('ink');
    basket.add('paper');
    basket.getUncommittedEvents().reverse().pop();
    expect((await given.baskets.save(basket)).records.map(({ event }) => event)).toEqual([
      new ItemAdded('ink'),
      new ItemAdded('paper'),
    ]);
  });

  it('stores one event object as often as it is applied', async () => {
    const constant = Object.freeze(new ItemAdded('pen'));
    const basket = new Basket(given.id);
    basket.apply(constant);
    basket.apply(constant);
    expect((await given.baskets.save(basket)).version).toBe(2);
    basket.apply(constant);
    expect((await given.baskets.save(basket)).version).toBe(3);
    const other = new Basket(`${given.id}-other`);
    other.apply(constant);
    expect(await given.baskets.save(other)).toMatchObject({ version: 1, duplicate: false });
    expect((await given.baskets.load(given.id)).items).toEqual({ pen: 3 });
  });

  it('the same events again after an unknown outcome stores them once', async () => {
    const basket = await filled('pen');
    const ink = new ItemAdded('ink');
    basket.apply(ink);
    basket.apply(ink);
    const append = given.store.append.bind(given.store);
    const lost = new Error('the answer was lost on purpose');
    const losing = jest.spyOn(given.store, 'append').mockImplementationOnce(async (...call) => {
      await append(...call);
      throw lost;
    });
    await expect(given.baskets.save(basket)).rejects.toBe(lost);
    losing.mockRestore();
    expect(await given.baskets.save(basket)).toMatchObject({ version: 3, duplicate: true });
    expect(basket.getUncommittedEvents()).toEqual([]);
    expect((await given.baskets.load(given.id)).items).toEqual({ pen: 1, ink: 2 });
  });

  it('works the same for an aggregate by the mixin', async () => {
    const mixed = repositoryOf(MixedBasket);
    const basket = new MixedBasket(given.id);
    basket.apply(new ItemAdded('pen'));
    basket.apply(new ItemAdded('ink'));
    await mixed.save(basket);
    await mixed.execute(given.id, (loaded) => loaded.apply(new ItemAdded('paper')));
    expect(await given.store.getSnapshot(ref('mixed-basket'))).toMatchObject({ version: 2 });
    expect((await mixed.load(given.id)).items).toEqual(['pen', 'ink', 'paper']);
  });
});
