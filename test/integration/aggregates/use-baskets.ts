import { beforeEach } from '@jest/globals';
import { AggregateRoot, WithAggregateRoot } from '@nestjs/cqrs';
import type { DataSource } from 'typeorm';
import {
  Aggregate,
  DomainEvent,
  everyNEvents,
  type AggregateClass,
  type AggregateRepository,
  type IdentifiedAggregate,
} from 'nest-event-store';
import { AggregateRepositories } from '../../../lib/aggregates/aggregate-repositories.ts';
import type { TestStore } from '../../support/store.ts';
import { useStore } from '../../support/use-store.ts';

@DomainEvent('basket.item-added')
export class ItemAdded {
  constructor(
    readonly item: string,
    readonly quantity = 1,
  ) {}
}

@DomainEvent('basket.checked-out')
export class CheckedOut {
  constructor(readonly total: number) {}
}

export abstract class ItemList extends AggregateRoot<object> {
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
export class Basket extends ItemList {}

@Aggregate('plain-basket')
export class PlainBasket extends ItemList {}

export class WithId {
  constructor(readonly id: string) {}
}

/** An aggregate by the mixin of `@nestjs/cqrs`; that this compiles is a test of its own. */
@Aggregate('mixed-basket', { snapshots: everyNEvents(2) })
export class MixedBasket extends WithAggregateRoot(WithId) {
  items: string[] = [];

  onItemAdded({ item }: ItemAdded): void {
    this.items.push(item);
  }
}

/** A store of baskets, and for each test an id of its own. */
export function useBaskets() {
  const used = useStore({ events: [ItemAdded, CheckedOut], allowRemoval: true });
  let warnings: string[];
  let baskets: AggregateRepository<Basket>;
  let id: string;
  let ids = 0;

  beforeEach(() => {
    warnings = [];
    used.store.warnings.length = 0;
    baskets = repositoryOf(Basket);
    id = `b-${(ids += 1)}`;
  });

  function repositoryOf<T extends IdentifiedAggregate>(
    aggregateClass: AggregateClass<T>,
    cacheSize = 10,
  ): AggregateRepository<T> {
    const onWarning = (message: string): unknown => warnings.push(message);
    return new AggregateRepositories(used.store, { cacheSize, onWarning }).of(aggregateClass);
  }

  const ref = (type = 'basket') => ({ type, id });
  const versionOf = (type?: string) => used.store.currentVersion(ref(type));
  const snapshotVersion = async () => (await used.store.getSnapshot(ref()))?.version;

  /** A stored basket with these items. */
  async function filled(...items: string[]): Promise<Basket> {
    const basket = new Basket(id);
    for (const item of items) basket.add(item);
    await baskets.save(basket);
    return basket;
  }

  /** Changes stored events, which takes the right to alter the table. */
  async function withoutProtection(sql: string): Promise<void> {
    await used.dataSource.query(`
      ALTER TABLE event_store.domain_events DISABLE TRIGGER USER;
      ${sql};
      ALTER TABLE event_store.domain_events ENABLE TRIGGER USER`);
  }

  return {
    get dataSource(): DataSource {
      return used.dataSource;
    },
    get store(): TestStore {
      return used.store;
    },
    /** What the repositories of the test have warned of. */
    get warnings(): string[] {
      return warnings;
    },
    get baskets(): AggregateRepository<Basket> {
      return baskets;
    },
    get id(): string {
      return id;
    },
    repositoryOf,
    ref,
    versionOf,
    snapshotVersion,
    filled,
    withoutProtection,
  };
}
