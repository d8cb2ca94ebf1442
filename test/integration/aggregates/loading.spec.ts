import { describe, expect, it, jest } from '@jest/globals';
import {
  AggregateNotFoundError,
  CorruptAggregateError,
  UnknownAggregateError,
  UnknownEventTypeError,
  WrongExpectedVersionError,
} from 'nest-event-store';
import { Basket, ItemAdded, PlainBasket, useBaskets } from './use-baskets.ts';

const given = useBaskets();
const { repositoryOf, ref, snapshotVersion, filled, withoutProtection } = given;

describe('loading', () => {
  it('folds all events into an instance of its own', async () => {
    const basket = await filled('pen', 'pen');
    basket.checkOut();
    await given.baskets.save(basket);
    const loaded = await given.baskets.load(given.id);
    expect(loaded).toBeInstanceOf(Basket);
    expect(loaded).not.toBe(basket);
    expect(loaded).toMatchObject({ id: given.id, items: { pen: 2 }, isCheckedOut: true });
    expect(loaded.getUncommittedEvents()).toEqual([]);
    expect(given.baskets.versionOf(loaded)).toBe(3);
  });

  it('reports an aggregate without events by an error, or by null', async () => {
    await expect(given.baskets.load(given.id)).rejects.toMatchObject({
      constructor: AggregateNotFoundError,
      aggregate: { type: 'basket', id: given.id },
    });
    expect(await given.baskets.find(given.id)).toBeNull();
    await expect(given.baskets.execute(given.id, () => undefined)).rejects.toThrow(
      AggregateNotFoundError,
    );
  });

  it('never folds past a missing event, and names its place', async () => {
    await filled('pen');
    const plain = repositoryOf(PlainBasket);
    const basket = new PlainBasket(given.id);
    for (const item of ['pen', 'ink', 'paper', 'glue']) basket.add(item);
    const { records } = await plain.save(basket);
    await withoutProtection(
      `DELETE FROM event_store.domain_events WHERE position = ${records[1]!.position}`,
    );
    await expect(plain.load(given.id)).rejects.toMatchObject({
      constructor: CorruptAggregateError,
      aggregate: ref('plain-basket'),
      expectedEventVersion: 2,
      foundEventVersion: 3,
      position: records[2]!.position,
      message: expect.stringContaining(`version 3 follows at position ${records[2]!.position}`),
    });

    await withoutProtection(
      `DELETE FROM event_store.domain_events WHERE position >= ${records[1]!.position}`,
    );
    await expect(plain.load(given.id)).rejects.toMatchObject({
      constructor: CorruptAggregateError,
      expectedEventVersion: 2,
      position: undefined,
    });
  });

  it('refuses a stored type that has no class, with position and nearest name', async () => {
    await filled('pen');
    const { records } = await given.store.append(ref(), [new ItemAdded('ink')]);
    const { position } = records[0]!;
    await withoutProtection(
      `UPDATE event_store.domain_events SET type = 'basket.item-aded' WHERE position = ${position}`,
    );
    await expect(given.baskets.load(given.id)).rejects.toMatchObject({
      constructor: UnknownEventTypeError,
      type: 'basket.item-aded',
      position,
      nearest: 'basket.item-added',
      message: expect.stringContaining('(the nearest name is basket.item-added)'),
    });
  });

  it('no longer finds an aggregate whose events were removed', async () => {
    await filled('pen', 'ink', 'paper');
    await given.store.removeEvents(ref());
    expect(await given.baskets.find(given.id)).toBeNull();
  });

  it('finds a removed aggregate that a new instance has begun again, at the next version', async () => {
    const append = given.store.append.bind(given.store);
    await filled('pen', 'ink', 'paper');
    await given.store.removeEvents(ref());
    const [first, second] = [new Basket(given.id), new Basket(given.id)];
    for (const basket of [first, second]) basket.add('glue');
    const lost = new Error('the answer was lost on purpose');
    const losing = jest
      .spyOn(given.store, 'append')
      .mockImplementationOnce(append)
      .mockImplementationOnce(async (...call) => {
        await append(...call);
        throw lost;
      });
    await expect(given.baskets.save(first)).rejects.toBe(lost);
    losing.mockRestore();
    expect(await given.baskets.save(first)).toMatchObject({ version: 4, duplicate: true });
    await expect(given.baskets.save(second)).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      actualVersion: 4,
    });
    expect(await snapshotVersion()).toBeUndefined();
    await given.baskets.execute(given.id, (basket) => basket.add('pen'));
    const loaded = await given.baskets.load(given.id);
    expect([loaded.items, given.baskets.versionOf(loaded)]).toEqual([{ glue: 1, pen: 1 }, 5]);
  });

  it('is not offered for a class without @Aggregate of its own', () => {
    class Derived extends Basket {}
    expect(() => repositoryOf(Derived)).toThrow(UnknownAggregateError);
  });
});
