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
  UnknownAggregateError,
  UnknownEventTypeError,
  WrongExpectedVersionError,
  type AggregateClass,
  type AggregateRepository,
  type IdentifiedAggregate,
} from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { PostgresEventStore } from '../../lib/postgres/store/postgres.event-store.ts';
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
    const nothing = { version: 1, position, records: [], duplicate: false };
    expect(await baskets.save(basket)).toEqual(nothing);
    expect(await baskets.save(await baskets.load(id))).toEqual(nothing);
    expect(await baskets.execute(id, () => 'nothing')).toMatchObject(nothing);
    const unsaved = { ...nothing, version: 0, position: 0 };
    expect(await baskets.save(new Basket(`${id}-new`))).toEqual(unsaved);
    expect(await store.currentPosition()).toBe(position);
  });

  it('is refused if another save came after the load, and keeps the events', async () => {
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
    // The state of the instance is ahead of the version that was due for a snapshot.
    expect(await store.getSnapshot(ref())).toEqual({
      version: 3,
      state: { items: { pen: 1, ink: 1, paper: 1 }, isCheckedOut: false },
    });

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
      aggregate: { type: 'basket', id },
    });
    const discarding = baskets.execute(id, (loaded) => {
      loaded.add('ink');
      loaded.uncommit();
    });
    await expect(discarding).rejects.toThrow(LostEventsError);
    expect(await versionOf()).toBe(1);
  });

  it.each([undefined, null, {}, new PlainBasket('b'), 'text '.repeat(20)])(
    'refuses what is no instance of its class, and shows nothing of it: %p',
    async (value) => {
      await expect(baskets.save(value as Basket)).rejects.toThrow(
        /^save: the aggregate must be an instance of Basket, got .{2,80}\.$/,
      );
    },
  );

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

  it('reports an aggregate without events by an error, or by null', async () => {
    await expect(baskets.load(id)).rejects.toMatchObject({
      constructor: AggregateNotFoundError,
      aggregate: { type: 'basket', id },
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

  it('finds one again that was begun again: a new instance continues the count', async () => {
    const append = store.append.bind(store);
    await filled('pen', 'ink', 'paper');
    await store.removeEvents(ref());
    const [first, second] = [new Basket(id), new Basket(id)];
    for (const basket of [first, second]) basket.add('glue');
    const lost = new Error('the answer was lost on purpose');
    const losing = jest
      .spyOn(store, 'append')
      .mockImplementationOnce(append)
      .mockImplementationOnce(async (...call) => {
        await append(...call);
        throw lost;
      });
    await expect(baskets.save(first)).rejects.toBe(lost);
    losing.mockRestore();
    expect(await baskets.save(first)).toMatchObject({ version: 4, duplicate: true });
    await expect(baskets.save(second)).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      actualVersion: 4,
    });
    expect(await snapshotVersion()).toBeUndefined();
    await baskets.execute(id, (basket) => basket.add('pen'));
    const loaded = await baskets.load(id);
    expect([loaded.items, baskets.versionOf(loaded)]).toEqual([{ glue: 1, pen: 1 }, 5]);
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
    const basket = new Failing(id);
    for (const item of ['pen', 'ink', 'paper']) basket.add(item);
    expect((await failing.save(basket)).version).toBe(3);
    expect(warnings).toEqual([`No snapshot of basket/${id} at version 3 was taken.`]);
    expect(await snapshotVersion()).toBeUndefined();
    expect((await failing.load(id)).items).toEqual({ pen: 1, ink: 1, paper: 1 });
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
  it.each([{ retries: -1 }, { retries: Number.NaN }, { retries: '3' }, { expectedVersion: 'any' }])(
    'with %j is refused before the work runs',
    async (options) => {
      await filled('pen');
      const work = jest.fn();
      await expect(baskets.execute(id, work, options as object)).rejects.toThrow(TypeError);
      expect(work).not.toHaveBeenCalled();
    },
  );

  it('one aggregate at once, all succeed one after another, in the order of the calls', async () => {
    await filled('pen');
    const order: number[] = [];
    const executions = Array.from({ length: 16 }, (_, n) =>
      baskets.execute(
        id,
        async (basket) => {
          order.push(n);
          await store.currentVersion(ref());
          basket.add(`item ${n}`);
        },
        { retries: 0 },
      ),
    );
    const versions = (await Promise.all(executions)).map(({ version }) => version);
    expect(versions).toEqual(Array.from({ length: 16 }, (_, n) => n + 2));
    expect(order).toEqual(Array.from({ length: 16 }, (_, n) => n));
  });

  it('inside the work of the same aggregate is refused, however deep, and the outer one succeeds', async () => {
    await filled('pen');
    const other = new Basket(`${id}-other`);
    other.add('pen');
    await baskets.save(other);
    const refusals: unknown[] = [];
    const { version } = await baskets.execute(id, async (basket) => {
      await baskets.execute(other.id, async () => {
        await baskets.execute(id, (inner) => inner.add('never')).catch((e) => refusals.push(e));
      });
      basket.add('ink');
    });
    expect(refusals).toEqual([
      expect.objectContaining({ code: 'NESTED_EXECUTE', aggregate: { type: 'basket', id } }),
    ]);
    expect(version).toBe(2);
    expect((await baskets.load(id)).items).toEqual({ pen: 1, ink: 1 });
  });

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

  it('gives up after the given number of retries', async () => {
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

  it('refuses a work that is no function, before it reads', async () => {
    await expect(baskets.execute('nobody', undefined as never)).rejects.toThrow(
      'execute: the work must be a function, got undefined.',
    );
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

describe('a history in memory', () => {
  // What an attentive method would never do: it changes the state, and no event says so.
  const disturb = (basket: Basket): void => {
    basket.items['disturbed'] = 1;
  };
  const items = (basket: Basket) => ({ ...basket.items });
  const reading = jest.spyOn(PostgresEventStore.prototype, 'fetchHistory');
  /** After which version each read of this test's aggregate has begun; `undefined` for one of it all. */
  const reads = () =>
    reading.mock.calls.filter(([{ id: read }]) => read === id).map(([, options]) => options?.after);

  beforeEach(async () => {
    await filled('pen');
    reading.mockClear();
  });
  afterAll(() => reading.mockRestore());

  it('serves the next execute, which reads only what came later', async () => {
    await baskets.execute(id, (basket) => basket.add('ink'));
    await store.append(ref(), [new ItemAdded('other')]);
    const { result } = await baskets.execute(id, items);
    expect(result).toEqual({ pen: 1, ink: 1, other: 1 });
    await baskets.execute(id, items);
    expect(reads()).toEqual([undefined, 1, 3]);
    expect((await baskets.load(id)).items).toEqual(result);
  });

  it('gives every work an instance of its own', async () => {
    const seen = new Set<Basket>();
    const work = async (basket: Basket) => {
      seen.add(basket);
      await store.currentVersion(ref());
      basket.add('each');
    };
    await Promise.all(Array.from({ length: 12 }, () => baskets.execute(id, work, { retries: 50 })));
    expect(seen.size).toBeGreaterThanOrEqual(12);
    expect((await baskets.load(id)).items).toEqual({ pen: 1, each: 12 });
  });

  it('keeps nothing that a work has done without an event', async () => {
    await baskets.execute(id, disturb);
    expect((await baskets.execute(id, items)).result).toEqual({ pen: 1 });
    await baskets.execute(id, (basket) => {
      disturb(basket);
      basket.add('ink');
    });
    expect((await baskets.execute(id, items)).result).toEqual({ pen: 1, ink: 1 });
    expect(reads()).toEqual([undefined, 1, 1, 1]);
  });

  it('keeps nothing that a work has done to what it found in a snapshot or in an event', async () => {
    @DomainEvent('basket.packed')
    class Packed {
      constructor(readonly labels: string[]) {}
    }
    @Aggregate('packed-basket', { snapshots: everyNEvents(2) })
    class PackedBasket extends AggregateRoot<object> {
      labels: string[] = [];

      constructor(readonly id: string) {
        super();
      }

      // The very list of the event becomes part of the state.
      onPacked({ labels }: Packed): void {
        if (labels.length > 0) this.labels = labels;
      }
    }
    const packing = await openStore(dataSource, { events: [Packed] });
    const packed = new AggregateRepositories(packing, {
      cacheSize: 10,
      onWarning: () => undefined,
    }).of(PackedBasket);
    const basket = new PackedBasket(id);
    basket.apply(new Packed(['b', 'a']));
    await packed.save(basket);
    const labels = async () => (await packed.execute(id, (each) => [...each.labels])).result;
    for (const sorting of [1, 2, 3, 4]) {
      await packed.execute(id, (each) => {
        each.labels.sort();
        // The second one is due for a snapshot.
        if (sorting === 2) each.apply(new Packed([]));
      });
      expect(await labels()).toEqual(['b', 'a']);
    }
    const snapshot = await packing.getSnapshot(ref('packed-basket'));
    expect(snapshot).toEqual({ version: 2, state: { labels: ['b', 'a'] } });
  });

  it('stays when the work or the save fails, which leaves nothing in it', async () => {
    const failed = baskets.execute(id, (basket) => {
      basket.add('ink');
      throw new Error('on purpose');
    });
    await expect(failed).rejects.toThrow('on purpose');
    const refused = baskets.execute(id, (basket) => basket.add('too many', Number.NaN));
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_EVENT' });
    expect((await baskets.execute(id, items)).result).toEqual({ pen: 1 });
    expect(reads()).toEqual([undefined, 1, 1]);
  });

  it('leaves out events that were applied during a save, which only that instance may save', async () => {
    const instances: Basket[] = [];
    const append = store.append.bind(store);
    const late = jest.spyOn(store, 'append').mockImplementationOnce((...call) => {
      instances[0]!.add('late');
      return append(...call);
    });
    await baskets.execute(id, (basket) => {
      instances.push(basket);
      basket.add('noted');
    });
    late.mockRestore();
    expect(instances[0]!.getUncommittedEvents()).toEqual([new ItemAdded('late')]);
    const { result, version } = await baskets.execute(id, items);
    expect([result, version]).toEqual([{ pen: 1, noted: 1 }, 2]);
  });

  it('is not served once its events are removed, nor with new events after that', async () => {
    await baskets.execute(id, items);
    await store.removeEvents(ref());
    await expect(baskets.execute(id, items)).rejects.toThrow(AggregateNotFoundError);
    await store.append(ref(), [new ItemAdded('after')]);
    const { result, version } = await baskets.execute(id, items);
    expect([result, version]).toEqual([{ after: 1 }, 2]);
    expect(reads()).toEqual([undefined, 1, undefined, undefined]);
  });

  it.each([
    ['as many', 1],
    ['more', 3],
    ['fewer', 0],
  ])('is not served when the log holds other events in their place: %s', async (_, real) => {
    await store.append(ref(), [new ItemAdded('lost', 2_000)]);
    expect((await baskets.execute(id, items)).result).toEqual({ pen: 1, lost: 2_000 });
    // What a restore, or a failover to an asynchronous standby, makes of it.
    await withoutProtection(`
      DELETE FROM event_store.domain_events WHERE version > 1
        AND aggregate_key = (SELECT key FROM event_store.aggregates WHERE id = '${id}');
      UPDATE event_store.aggregates SET version = 1 WHERE id = '${id}'`);
    for (let n = 0; n < real; n++) await store.append(ref(), [new ItemAdded('real', 5)]);
    const { result } = await baskets.execute(id, items);
    expect(result).toEqual({ pen: 1, ...(real > 0 && { real: 5 * real }) });
    expect(reads()).toEqual([undefined, 2, undefined]);
  });

  it('is not served when the log holds other events, also if it was only a snapshot', async () => {
    for (const item of ['ink', 'paper']) await baskets.execute(id, (basket) => basket.add(item));
    expect(await snapshotVersion()).toBe(3);
    reading.mockClear();
    await baskets.execute(id, items);
    await withoutProtection(`
      UPDATE event_store.domain_events SET event_id = gen_random_uuid(),
        payload = '{"item": "real", "quantity": 1}' WHERE version > 1
        AND aggregate_key = (SELECT key FROM event_store.aggregates WHERE id = '${id}');
      UPDATE event_store.aggregates SET snapshot_version = NULL,
        snapshot_revision = NULL, snapshot_state = NULL, snapshot_taken_at = NULL
        WHERE id = '${id}'`);
    expect((await baskets.execute(id, items)).result).toEqual({ pen: 1, real: 2 });
    expect(reads()).toEqual([undefined, 3, undefined]);
  });

  it('is none with a cache of nothing', async () => {
    const uncached = repositoryOf(Basket, 0);
    await uncached.execute(id, items);
    await uncached.execute(id, items);
    expect(reads()).toEqual([undefined, undefined]);
  });

  it('gives way to those used later', async () => {
    const small = repositoryOf(Basket, 1);
    await small.execute(id, items);
    const other = new Basket(`${id}-other`);
    other.add('pen');
    await small.save(other);
    await small.execute(other.id, items);
    await small.execute(id, items);
    expect(reads()).toEqual([undefined, undefined]);
  });
});
