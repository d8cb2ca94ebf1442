import { describe, expect, it, jest } from '@jest/globals';
import { Aggregate, everyNEvents } from 'nest-event-store';
import { Basket, ItemList, PlainBasket, useBaskets } from './use-baskets.ts';

const given = useBaskets();
const { repositoryOf, ref, snapshotVersion, filled } = given;

describe('snapshots', () => {
  it('are taken whenever the version passes the mark, and hold the state without the id', async () => {
    const basket = await filled('pen', 'ink');
    expect(await snapshotVersion()).toBeUndefined();
    basket.add('paper');
    await given.baskets.save(basket);
    expect(await given.store.getSnapshot(ref())).toEqual({
      version: 3,
      state: { items: { pen: 1, ink: 1, paper: 1 }, isCheckedOut: false },
    });
    basket.add('pen');
    basket.add('pen');
    await given.baskets.save(basket);
    expect(await snapshotVersion()).toBe(3);
    for (const item of ['a', 'b', 'c', 'd']) basket.add(item);
    await given.baskets.save(basket);
    expect(await snapshotVersion()).toBe(9);
  });

  it('count by the version, not by what this process has saved', async () => {
    await filled('pen', 'ink');
    const elsewhere = repositoryOf(Basket);
    await elsewhere.execute(given.id, (basket) => basket.add('paper'));
    expect(await snapshotVersion()).toBe(3);
  });

  it('are not taken without a policy', async () => {
    const plain = repositoryOf(PlainBasket);
    const basket = new PlainBasket(given.id);
    for (let n = 0; n < 10; n++) basket.add('pen');
    await plain.save(basket);
    expect(await given.store.getSnapshot(ref('plain-basket'))).toBeNull();
  });

  it('are where a load starts: only later events are folded', async () => {
    await filled('pen', 'ink', 'paper');
    await given.baskets.execute(given.id, (basket) => basket.add('glue'));
    await given.dataSource.query(
      `UPDATE event_store.aggregates SET snapshot_state = '{"items": {"told": 3}}' WHERE id = $1`,
      [given.id],
    );
    const loaded = await given.baskets.load(given.id);
    expect(loaded.items).toEqual({ told: 3, glue: 1 });
    expect(given.baskets.versionOf(loaded)).toBe(4);
  });

  it('are made by the class, if it defines how', async () => {
    @Aggregate('basket', { snapshots: everyNEvents(1) })
    class Summarized extends ItemList {
      toSnapshot(): object {
        return { list: Object.entries(this.items) };
      }

      restoreSnapshot(state: { list: [string, number][] }): void {
        this.items = Object.fromEntries(state.list);
      }
    }
    const summarized = repositoryOf(Summarized);
    const basket = new Summarized(given.id);
    basket.add('pen', 4);
    await summarized.save(basket);
    expect((await given.store.getSnapshot(ref()))?.state).toEqual({ list: [['pen', 4]] });
    expect((await summarized.load(given.id)).items).toEqual({ pen: 4 });
    expect(given.warnings).toEqual([]);
  });

  it('of another revision are passed over, and replaced by the next', async () => {
    @Aggregate('basket', { snapshots: everyNEvents(3), snapshotRevision: 2 })
    class Revised extends ItemList {
      readonly shape: string = 'revised';
    }
    await filled('pen', 'ink', 'paper');
    const revised = repositoryOf(Revised);
    const loaded = await revised.load(given.id);
    expect(loaded.items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(given.store.warnings).toEqual([expect.stringContaining('its revision is 1, not 2')]);

    for (const item of ['a', 'b', 'c']) loaded.add(item);
    await revised.save(loaded);
    expect(await given.store.getSnapshot(ref(), { revision: 2 })).toMatchObject({
      version: 6,
      state: { shape: 'revised' },
    });
    // Processes that still have the old shape continue as well.
    expect((await given.baskets.load(given.id)).items).toEqual({
      pen: 1,
      ink: 1,
      paper: 1,
      a: 1,
      b: 1,
      c: 1,
    });
  });

  it('that cannot be read are passed over with a warning', async () => {
    await filled('pen', 'ink', 'paper');
    await given.dataSource.query(
      `UPDATE event_store.aggregates SET snapshot_state = '"damaged"' WHERE id = $1`,
      [given.id],
    );
    expect((await given.baskets.load(given.id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(given.store.warnings).toEqual([
      expect.stringContaining(`The snapshot of basket/${given.id} at version 3 is ignored`),
    ]);
  });

  it('that cannot be restored are passed over with a warning', async () => {
    @Aggregate('basket')
    class Picky extends ItemList {
      restoreSnapshot(): void {
        this.items = { half: 1 };
        throw new Error('refused on purpose');
      }
    }
    await filled('pen', 'ink', 'paper');
    expect((await repositoryOf(Picky).load(given.id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(given.warnings).toEqual([
      `The snapshot of basket/${given.id} could not be restored; it is folded from its events.`,
    ]);
  });

  it('cannot reach setters or the prototype of the aggregate', async () => {
    await filled('pen', 'ink', 'paper');
    await given.dataSource.query(
      `UPDATE event_store.aggregates SET snapshot_state = $2 WHERE id = $1`,
      [given.id, '{"autoCommit": true, "__proto__": {"items": {}}, "items": {"pen": 9}}'],
    );
    const loaded = await given.baskets.load(given.id);
    expect(Object.getPrototypeOf(loaded)).toBe(Basket.prototype);
    expect(loaded.items).toEqual({ pen: 9 });
  });

  it.each<[string, () => object]>([
    [
      'a state that throws',
      () => {
        throw new Error('on purpose');
      },
    ],
    ['a state that cannot be stored', () => ({ items: Number.NaN })],
  ])('that fail never fail the save: %s', async (_, state) => {
    @Aggregate('basket', { snapshots: everyNEvents(3) })
    class Failing extends ItemList {
      toSnapshot(): object {
        return state();
      }
    }
    const failing = repositoryOf(Failing);
    const basket = new Failing(given.id);
    for (const item of ['pen', 'ink', 'paper']) basket.add(item);
    expect((await failing.save(basket)).version).toBe(3);
    expect(given.warnings).toEqual([`No snapshot of basket/${given.id} at version 3 was taken.`]);
    expect(await snapshotVersion()).toBeUndefined();
    expect((await failing.load(given.id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
  });

  it('that fail never fail the save: the database, or the policy', async () => {
    const failing = jest
      .spyOn(given.store, 'snapshot')
      .mockRejectedValueOnce(new Error('on purpose'));
    await filled('pen', 'ink', 'paper');
    failing.mockRestore();
    expect(given.warnings).toHaveLength(1);

    const isDue = () => {
      throw new Error('on purpose');
    };
    @Aggregate('basket', { snapshots: { isDue } })
    class Undecided extends ItemList {}
    const saved = await repositoryOf(Undecided).execute(given.id, (basket) => basket.add('glue'));
    expect(saved.version).toBe(4);
    expect(given.warnings).toHaveLength(2);
  });
});
