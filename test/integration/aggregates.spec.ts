import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AggregateRoot, WithAggregateRoot } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';
import {
  Aggregate,
  AggregateInUseError,
  AggregateNotFoundError,
  AutoCommitUnsupportedError,
  CorruptAggregateError,
  DomainEvent,
  everyNEvents,
  LostEventsError,
  noSnapshots,
  UnknownAggregateError,
  UnknownEventTypeError,
  WrongExpectedVersionError,
  type AggregateClass,
  type AggregateRepository,
  type IdentifiedAggregate,
} from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openStore, type TestStore } from '../support/store.ts';

@DomainEvent('basket.item-added')
class ItemAdded {
  constructor(
    readonly item: string,
    readonly quantity = 1,
  ) {}
}

@DomainEvent('basket.checked-out')
class CheckedOut {
  constructor(readonly total: number) {}
}

abstract class ItemList extends AggregateRoot<object> {
  items: Record<string, number> = {};
  isCheckedOut = false;

  constructor(readonly id: string) {
    super();
  }

  add(item: string, quantity = 1): void {
    if (this.isCheckedOut) throw new Error(`${this.id} is checked out.`);
    this.apply(new ItemAdded(item, quantity));
  }

  checkOut(): void {
    this.apply(new CheckedOut(Object.keys(this.items).length));
  }

  onItemAdded({ item, quantity }: ItemAdded): void {
    this.items[item] = (this.items[item] ?? 0) + quantity;
  }

  onCheckedOut(): void {
    this.isCheckedOut = true;
  }
}

@Aggregate('basket', { snapshots: everyNEvents(3) })
class Basket extends ItemList {}

@Aggregate('plain-basket')
class PlainBasket extends ItemList {}

class WithId {
  constructor(readonly id: string) {}
}

/** An aggregate by the mixin of `@nestjs/cqrs`; that this compiles is a test of its own. */
@Aggregate('mixed-basket', { snapshots: everyNEvents(2) })
class MixedBasket extends WithAggregateRoot(WithId) {
  items: string[] = [];

  onItemAdded({ item }: ItemAdded): void {
    this.items.push(item);
  }
}

let database: TestDatabase;
let dataSource: DataSource;
let store: TestStore;
let warnings: string[];
let baskets: AggregateRepository<Basket>;
let id: string;
let ids = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await database.dataSource();
  store = await openStore(dataSource, { events: [ItemAdded, CheckedOut], allowRemoval: true });
});
beforeEach(() => {
  warnings = [];
  store.warnings.length = 0;
  baskets = repositoryOf(Basket);
  id = `b-${(ids += 1)}`;
});
afterAll(() => database.drop());

function repositoryOf<T extends IdentifiedAggregate>(
  aggregateClass: AggregateClass<T>,
  cacheSize = 10,
): AggregateRepository<T> {
  const onWarning = (message: string): unknown => warnings.push(message);
  return new AggregateRepositories(store, { cacheSize, onWarning }).of(aggregateClass);
}

const ref = (type = 'basket') => ({ type, id });
const versionOf = (type?: string) => store.currentVersion(ref(type));
const snapshotVersion = async () => (await store.getSnapshot(ref()))?.version;

/** A stored basket with these items. */
async function filled(...items: string[]): Promise<Basket> {
  const basket = new Basket(id);
  for (const item of items) basket.add(item);
  await baskets.save(basket);
  return basket;
}

describe('saving', () => {
  it('appends what was applied, in order, and clears it', async () => {
    const basket = new Basket(id);
    basket.add('pen');
    basket.add('ink', 2);
    expect(baskets.versionOf(basket)).toBe(0);
    const saved = await baskets.save(basket, { metadata: { actor: 'ada' } });
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
    expect(baskets.versionOf(basket)).toBe(2);

    basket.checkOut();
    expect((await baskets.save(basket)).version).toBe(3);
  });

  it('without new events does nothing', async () => {
    const basket = await filled('pen');
    const position = await store.currentPosition();
    const nothing = { version: 1, position: 0, records: [], duplicate: false };
    expect(await baskets.save(basket)).toEqual(nothing);
    expect(await baskets.save(new Basket(`${id}-new`))).toEqual({ ...nothing, version: 0 });
    expect(await store.currentPosition()).toBe(position);
  });

  it('is refused if somebody else has saved since the load, and keeps the events', async () => {
    await filled('pen');
    const [first, second] = await Promise.all([baskets.load(id), baskets.load(id)]);
    expect(first).not.toBe(second);
    first.add('ink');
    second.add('paper');
    await baskets.save(first);
    await expect(baskets.save(second)).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      aggregate: ref(),
      expectedVersion: 1,
      actualVersion: 2,
    });
    expect(second.getUncommittedEvents()).toEqual([new ItemAdded('paper')]);
    const clash = new Basket(id);
    clash.add('glue');
    await expect(baskets.save(clash)).rejects.toThrow(WrongExpectedVersionError);
    expect(await versionOf()).toBe(2);
  });

  it('leaves events that are applied meanwhile for the next save', async () => {
    const basket = await filled('pen');
    basket.add('ink');
    basket.add('paper');
    const saving = baskets.save(basket);
    basket.add('glue', 5);
    expect((await saving).version).toBe(3);
    expect(basket.getUncommittedEvents()).toEqual([new ItemAdded('glue', 5)]);
    // Its state is ahead of the version that was due for a snapshot.
    expect(await snapshotVersion()).toBeUndefined();

    expect((await baskets.save(basket)).version).toBe(4);
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1, glue: 5 });
    expect(basket.items).toEqual({ pen: 1, ink: 1, paper: 1, glue: 5 });
  });

  it('one instance twice at once is refused', async () => {
    const basket = new Basket(id);
    basket.add('pen');
    const saving = baskets.save(basket);
    await expect(baskets.save(basket)).rejects.toThrow(AggregateInUseError);
    await saving;
    expect(await versionOf()).toBe(1);
    basket.add('ink');
    expect((await baskets.save(basket)).version).toBe(2);
  });

  it('is refused with autoCommit, which publishes events and keeps none', async () => {
    const basket = new Basket(id);
    basket.autoCommit = true;
    basket.add('pen');
    await expect(baskets.save(basket)).rejects.toThrow(AutoCommitUnsupportedError);
    expect(await versionOf()).toBe(0);
  });

  it('is refused after autoCommit has published an event, also once it is off again', async () => {
    const basket = await filled('pen');
    basket.autoCommit = true;
    basket.add('ink');
    basket.autoCommit = false;
    basket.add('paper');
    await expect(baskets.save(basket)).rejects.toThrow(LostEventsError);
    expect(await versionOf()).toBe(1);
  });

  it('is refused after uncommit has discarded events, which the state still has', async () => {
    const basket = await filled('pen');
    basket.uncommit();
    basket.add('ink');
    basket.uncommit();
    await expect(baskets.save(basket)).rejects.toMatchObject({
      constructor: LostEventsError,
      aggregateType: 'basket',
      aggregateId: id,
    });
    const discarding = baskets.execute(id, (loaded) => {
      loaded.add('ink');
      loaded.uncommit();
    });
    await expect(discarding).rejects.toThrow(LostEventsError);
    expect(await versionOf()).toBe(1);
  });

  it('stores what was applied, whatever is done to the list of uncommitted events', async () => {
    const basket = await filled('pen');
    basket.add('ink');
    basket.add('paper');
    basket.getUncommittedEvents().reverse().pop();
    expect((await baskets.save(basket)).records.map(({ event }) => event)).toEqual([
      new ItemAdded('ink'),
      new ItemAdded('paper'),
    ]);
  });

  it('stores one event object as often as it is applied', async () => {
    const constant = Object.freeze(new ItemAdded('pen'));
    const basket = new Basket(id);
    basket.apply(constant);
    basket.apply(constant);
    expect((await baskets.save(basket)).version).toBe(2);
    basket.apply(constant);
    expect((await baskets.save(basket)).version).toBe(3);
    const other = new Basket(`${id}-other`);
    other.apply(constant);
    expect(await baskets.save(other)).toMatchObject({ version: 1, duplicate: false });
    expect((await baskets.load(id)).items).toEqual({ pen: 3 });
  });

  it('the same events again after an unknown outcome stores them once', async () => {
    const basket = await filled('pen');
    const ink = new ItemAdded('ink');
    basket.apply(ink);
    basket.apply(ink);
    const append = store.append.bind(store);
    const lost = new Error('the answer was lost on purpose');
    const losing = jest.spyOn(store, 'append').mockImplementationOnce(async (...call) => {
      await append(...call);
      throw lost;
    });
    await expect(baskets.save(basket)).rejects.toBe(lost);
    losing.mockRestore();
    expect(await baskets.save(basket)).toMatchObject({ version: 3, duplicate: true });
    expect(basket.getUncommittedEvents()).toEqual([]);
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 2 });
  });

  it('works the same for an aggregate by the mixin', async () => {
    const mixed = repositoryOf(MixedBasket);
    const basket = new MixedBasket(id);
    basket.apply(new ItemAdded('pen'));
    basket.apply(new ItemAdded('ink'));
    await mixed.save(basket);
    await mixed.execute(id, (loaded) => loaded.apply(new ItemAdded('paper')));
    expect(await store.getSnapshot(ref('mixed-basket'))).toMatchObject({ version: 2 });
    expect((await mixed.load(id)).items).toEqual(['pen', 'ink', 'paper']);
  });
});

describe('loading', () => {
  it('folds all events into an instance of its own', async () => {
    const basket = await filled('pen', 'pen');
    basket.checkOut();
    await baskets.save(basket);
    const loaded = await baskets.load(id);
    expect(loaded).toBeInstanceOf(Basket);
    expect(loaded).not.toBe(basket);
    expect(loaded).toMatchObject({ id, items: { pen: 2 }, isCheckedOut: true });
    expect(loaded.getUncommittedEvents()).toEqual([]);
    expect(baskets.versionOf(loaded)).toBe(3);
  });

  it('tells an aggregate without events by an error, or by null', async () => {
    await expect(baskets.load(id)).rejects.toMatchObject({
      constructor: AggregateNotFoundError,
      aggregateType: 'basket',
      aggregateId: id,
    });
    expect(await baskets.find(id)).toBeNull();
    await expect(baskets.execute(id, () => undefined)).rejects.toThrow(AggregateNotFoundError);
  });

  it('never folds over an event that is missing, and names the place', async () => {
    await filled('pen');
    const plain = repositoryOf(PlainBasket);
    const basket = new PlainBasket(id);
    for (const item of ['pen', 'ink', 'paper', 'glue']) basket.add(item);
    const { records } = await plain.save(basket);
    await withoutProtection(
      `DELETE FROM event_store.domain_events WHERE position = ${records[1]!.position}`,
    );
    await expect(plain.load(id)).rejects.toMatchObject({
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
    await expect(plain.load(id)).rejects.toMatchObject({
      constructor: CorruptAggregateError,
      expectedEventVersion: 2,
      position: undefined,
    });
  });

  it('refuses a stored type that has no class, with position and nearest name', async () => {
    await filled('pen');
    const { records } = await store.append(ref(), [new ItemAdded('ink')]);
    const { position } = records[0]!;
    await withoutProtection(
      `UPDATE event_store.domain_events SET type = 'basket.item-aded' WHERE position = ${position}`,
    );
    await expect(baskets.load(id)).rejects.toMatchObject({
      constructor: UnknownEventTypeError,
      type: 'basket.item-aded',
      position,
      nearest: 'basket.item-added',
      message: expect.stringContaining('(the nearest name is basket.item-added)'),
    });
  });

  it('finds an aggregate whose events were removed no more', async () => {
    await filled('pen', 'ink', 'paper');
    await store.removeEvents(ref());
    expect(await baskets.find(id)).toBeNull();
  });

  it('is not offered for a class without @Aggregate of its own', () => {
    class Derived extends Basket {}
    expect(() => repositoryOf(Derived)).toThrow(UnknownAggregateError);
  });
});

/** Changes stored events, as only somebody who may alter the table can. */
async function withoutProtection(sql: string): Promise<void> {
  await dataSource.query(`
    ALTER TABLE event_store.domain_events DISABLE TRIGGER USER;
    ${sql};
    ALTER TABLE event_store.domain_events ENABLE TRIGGER USER`);
}

describe('snapshots', () => {
  it('are taken whenever the version passes the mark, and hold the state without the id', async () => {
    const basket = await filled('pen', 'ink');
    expect(await snapshotVersion()).toBeUndefined();
    basket.add('paper');
    await baskets.save(basket);
    expect(await store.getSnapshot(ref())).toEqual({
      version: 3,
      state: { items: { pen: 1, ink: 1, paper: 1 }, isCheckedOut: false },
    });
    basket.add('pen');
    basket.add('pen');
    await baskets.save(basket);
    expect(await snapshotVersion()).toBe(3);
    for (const item of ['a', 'b', 'c', 'd']) basket.add(item);
    await baskets.save(basket);
    expect(await snapshotVersion()).toBe(9);
  });

  it('count by the version, not by what this process has saved', async () => {
    await filled('pen', 'ink');
    const elsewhere = repositoryOf(Basket);
    await elsewhere.execute(id, (basket) => basket.add('paper'));
    expect(await snapshotVersion()).toBe(3);
  });

  it('are not taken without a policy', async () => {
    const plain = repositoryOf(PlainBasket);
    const basket = new PlainBasket(id);
    for (let n = 0; n < 10; n++) basket.add('pen');
    await plain.save(basket);
    expect(await store.getSnapshot(ref('plain-basket'))).toBeNull();
    expect(noSnapshots.isDue(0, 1_000_000)).toBe(false);
  });

  it('are where a load begins: only later events are folded', async () => {
    await filled('pen', 'ink', 'paper');
    await baskets.execute(id, (basket) => basket.add('glue'));
    await dataSource.query(
      `UPDATE event_store.aggregates SET snapshot_state = '{"items": {"told": 3}}' WHERE id = $1`,
      [id],
    );
    const loaded = await baskets.load(id);
    expect(loaded.items).toEqual({ told: 3, glue: 1 });
    expect(baskets.versionOf(loaded)).toBe(4);
  });

  it('are what the class says, if it says how', async () => {
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
    const basket = new Summarized(id);
    basket.add('pen', 4);
    await summarized.save(basket);
    expect((await store.getSnapshot(ref()))?.state).toEqual({ list: [['pen', 4]] });
    expect((await summarized.load(id)).items).toEqual({ pen: 4 });
    expect(warnings).toEqual([]);
  });

  it('of another revision are passed over, and replaced by the next', async () => {
    @Aggregate('basket', { snapshots: everyNEvents(3), snapshotRevision: 2 })
    class Revised extends ItemList {
      readonly shape: string = 'revised';
    }
    await filled('pen', 'ink', 'paper');
    const revised = repositoryOf(Revised);
    const loaded = await revised.load(id);
    expect(loaded.items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(store.warnings).toEqual([expect.stringContaining('its revision is 1, not 2')]);

    for (const item of ['a', 'b', 'c']) loaded.add(item);
    await revised.save(loaded);
    expect(await store.getSnapshot(ref(), { revision: 2 })).toMatchObject({
      version: 6,
      state: { shape: 'revised' },
    });
    // What still runs with the old shape goes on as well.
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1, a: 1, b: 1, c: 1 });
  });

  it('that cannot be read are passed over with a warning', async () => {
    await filled('pen', 'ink', 'paper');
    await dataSource.query(
      `UPDATE event_store.aggregates SET snapshot_state = '"damaged"' WHERE id = $1`,
      [id],
    );
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(store.warnings).toEqual([
      expect.stringContaining(`The snapshot of basket/${id} at version 3 is ignored`),
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
    expect((await repositoryOf(Picky).load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
    expect(warnings).toEqual([
      `The snapshot of basket/${id} could not be restored; it is folded from its events.`,
    ]);
  });

  it('cannot reach setters or the prototype of the aggregate', async () => {
    await filled('pen', 'ink', 'paper');
    await dataSource.query(`UPDATE event_store.aggregates SET snapshot_state = $2 WHERE id = $1`, [
      id,
      '{"autoCommit": true, "__proto__": {"items": {}}, "items": {"pen": 9}}',
    ]);
    const loaded = await baskets.load(id);
    expect(Object.getPrototypeOf(loaded)).toBe(Basket.prototype);
    expect(loaded.items).toEqual({ pen: 9 });
  });

  it.each<[string, object]>([
    [
      'a state that throws',
      {
        toSnapshot: () => {
          throw new Error('on purpose');
        },
      },
    ],
    ['a state that cannot be stored', { toSnapshot: () => ({ items: Number.NaN }) }],
  ])('that fail never fail the save: %s', async (_, methods) => {
    const basket = Object.assign(new Basket(id), methods);
    for (const item of ['pen', 'ink', 'paper']) basket.add(item);
    expect((await baskets.save(basket)).version).toBe(3);
    expect(warnings).toEqual([`No snapshot of basket/${id} at version 3 was taken.`]);
    expect(await snapshotVersion()).toBeUndefined();
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
  });

  it('that fail never fail the save: the database, or the policy', async () => {
    const failing = jest.spyOn(store, 'snapshot').mockRejectedValueOnce(new Error('on purpose'));
    await filled('pen', 'ink', 'paper');
    failing.mockRestore();
    expect(warnings).toHaveLength(1);

    const isDue = () => {
      throw new Error('on purpose');
    };
    @Aggregate('basket', { snapshots: { isDue } })
    class Undecided extends ItemList {}
    const saved = await repositoryOf(Undecided).execute(id, (basket) => basket.add('glue'));
    expect(saved.version).toBe(4);
    expect(warnings).toHaveLength(2);
  });
});

describe('executing', () => {
  it('loads, works, saves, and answers with what the work returned', async () => {
    await filled('pen');
    const executed = await baskets.execute(
      id,
      async (basket) => {
        basket.add('ink');
        return Object.keys(basket.items);
      },
      { metadata: { actor: 'ada' } },
    );
    expect(executed).toMatchObject({ version: 2, result: ['pen', 'ink'], duplicate: false });
    expect(executed.records[0]!.metadata).toEqual({ actor: 'ada' });
    const nothing = await baskets.execute(id, (basket) => basket.items);
    expect(nothing).toMatchObject({ version: 2, records: [], result: { pen: 1, ink: 1 } });
  });

  it('runs the work again on what is stored now after a conflict', async () => {
    await filled('pen');
    const seen: string[][] = [];
    const { version } = await baskets.execute(id, async (basket) => {
      seen.push(Object.keys(basket.items));
      if (seen.length < 3) await store.append(ref(), [new ItemAdded(`other-${seen.length}`)]);
      basket.add('mine');
    });
    expect(seen).toEqual([['pen'], ['pen', 'other-1'], ['pen', 'other-1', 'other-2']]);
    expect(version).toBe(4);
  });

  it('gives up after so many retries', async () => {
    await filled('pen');
    let runs = 0;
    const disturbed = (retries?: number) =>
      baskets.execute(
        id,
        async (basket) => {
          runs += 1;
          await store.append(ref(), [new ItemAdded('other')]);
          basket.add('mine');
        },
        retries === undefined ? {} : { retries },
      );
    await expect(disturbed()).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(4);
    await expect(disturbed(0)).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(5);
  });

  it('at an expected version runs once, or not at all', async () => {
    await filled('pen');
    let runs = 0;
    const work = (basket: Basket) => {
      runs += 1;
      basket.add('ink');
    };
    expect((await baskets.execute(id, work, { expectedVersion: 1 })).version).toBe(2);
    await expect(baskets.execute(id, work, { expectedVersion: 1 })).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      expectedVersion: 1,
      actualVersion: 2,
    });
    expect(runs).toBe(1);

    const disturbed = baskets.execute(
      id,
      async (basket) => {
        await store.append(ref(), [new ItemAdded('other')]);
        work(basket);
      },
      { expectedVersion: 2 },
    );
    await expect(disturbed).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(2);
    // The refused ones have left nothing behind in memory.
    const { result } = await baskets.execute(id, (basket) => ({ ...basket.items }));
    expect(result).toEqual({ pen: 1, ink: 1, other: 1 });
  });

  it('passes an error of the work on, and saves nothing', async () => {
    const basket = await filled('pen');
    basket.checkOut();
    await baskets.save(basket);
    await expect(baskets.execute(id, (loaded) => loaded.add('ink'))).rejects.toThrow(
      `${id} is checked out.`,
    );
    expect(await versionOf()).toBe(2);
  });
});

describe('an aggregate in memory', () => {
  const instances: Basket[] = [];
  const note = (basket: Basket): void => {
    instances.push(basket);
    basket.add('noted');
  };

  beforeEach(async () => {
    instances.length = 0;
    await filled('pen');
  });

  it('serves the next execute, brought up to date', async () => {
    await baskets.execute(id, note);
    await store.append(ref(), [new ItemAdded('other')]);
    const { result } = await baskets.execute(id, (basket) => {
      note(basket);
      return { ...basket.items };
    });
    expect(instances[1]).toBe(instances[0]);
    expect(result).toEqual({ pen: 1, noted: 2, other: 1 });
    expect(await baskets.load(id)).not.toBe(instances[0]);
  });

  it('is never shared by two that run at once', async () => {
    await baskets.execute(id, note);
    const running = new Set<Basket>();
    let shared = 0;
    await Promise.all(
      Array.from({ length: 12 }, () =>
        baskets.execute(
          id,
          async (basket) => {
            if (running.has(basket)) shared += 1;
            running.add(basket);
            await store.currentVersion(ref());
            basket.add('each');
            running.delete(basket);
          },
          { retries: 50 },
        ),
      ),
    );
    expect(shared).toBe(0);
    expect((await baskets.load(id)).items).toEqual({ pen: 1, noted: 1, each: 12 });
  });

  it('is dropped when the work fails', async () => {
    await baskets.execute(id, note);
    const failed = baskets.execute(id, (basket) => {
      note(basket);
      throw new Error('on purpose');
    });
    await expect(failed).rejects.toThrow('on purpose');
    const { version } = await baskets.execute(id, note);
    expect(version).toBe(3);
    expect(instances[1]).toBe(instances[0]);
    expect(instances[2]).not.toBe(instances[0]);
    expect(instances[2]!.items).toEqual({ pen: 1, noted: 2 });
  });

  it('is dropped when the save fails', async () => {
    await baskets.execute(id, note);
    const failed = baskets.execute(id, (basket) => {
      note(basket);
      basket.add('too many', Number.NaN);
    });
    await expect(failed).rejects.toMatchObject({ code: 'INVALID_EVENT' });
    const { version } = await baskets.execute(id, note);
    expect(version).toBe(3);
    expect(instances[2]).not.toBe(instances[0]);
    expect(instances[2]!.items).toEqual({ pen: 1, noted: 2 });
  });

  it('is dropped when events were applied during its save, which nobody else may save', async () => {
    const append = store.append.bind(store);
    const late = jest.spyOn(store, 'append').mockImplementationOnce((...call) => {
      instances[0]!.add('late');
      return append(...call);
    });
    await baskets.execute(id, note);
    late.mockRestore();
    expect(instances[0]!.getUncommittedEvents()).toEqual([new ItemAdded('late')]);
    const { result, version } = await baskets.execute(id, (basket) => ({ ...basket.items }));
    expect([result, version]).toEqual([{ pen: 1, noted: 1 }, 2]);
  });

  it('is not served once its events are removed, nor with new events after that', async () => {
    await baskets.execute(id, note);
    await store.removeEvents(ref());
    await expect(baskets.execute(id, note)).rejects.toThrow(AggregateNotFoundError);

    await baskets.execute(id, note).catch(() => undefined);
    await store.append(ref(), [new ItemAdded('after')]);
    const { result, version } = await baskets.execute(id, (basket) => ({ ...basket.items }));
    expect([result, version]).toEqual([{ after: 1 }, 3]);
  });

  it('is none with a cache of nothing', async () => {
    const uncached = repositoryOf(Basket, 0);
    await uncached.execute(id, note);
    await uncached.execute(id, note);
    expect(instances[1]).not.toBe(instances[0]);
  });

  it('gives way to those used later', async () => {
    const small = repositoryOf(Basket, 1);
    await small.execute(id, note);
    const other = new Basket(`${id}-other`);
    other.add('pen');
    await small.save(other);
    await small.execute(other.id, () => undefined);
    await small.execute(id, note);
    expect(instances[1]).not.toBe(instances[0]);
    expect(instances[1]!.items).toEqual({ pen: 1, noted: 2 });
  });
});
