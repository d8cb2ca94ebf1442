import type { EventRegistry } from '../../events/event-registry.ts';
import { KnownOptions } from '../../input/known-options.ts';
import { EventStore } from '../event-store.ts';
import { storeOptionNames, type StoreOptions } from '../store-options.ts';
import { InMemoryEventStorage } from './in-memory.event-storage.ts';

export interface InMemoryEventStoreOptions extends StoreOptions {
  /** Returns the time of an append. @default () => new Date() */
  readonly clock?: () => Date;
}

const inMemoryOptions = new KnownOptions<InMemoryEventStoreOptions>('InMemoryEventStore', {
  ...storeOptionNames,
  clock: true,
});

/**
 * Keeps events in the memory of this process, for tests and first steps.
 *
 * It stores serialized events and revives them on every read, so a test sees what production would.
 * It has no transactions: `manager` is refused. Everything is gone when the process ends.
 *
 * @example
 * const store = new InMemoryEventStore({ events: [AccountOpened] });
 */
export class InMemoryEventStore extends EventStore {
  /**
   * A `registry` is for the testing kit of this library, which checks it when it has filled it.
   *
   * @throws TypeError if `events` or `upcasters` cannot be registered; it names all problems.
   */
  constructor(options: InMemoryEventStoreOptions = {}, registry?: EventRegistry) {
    const { clock, ...others } = inMemoryOptions.take(options);
    super(new InMemoryEventStorage(clock), others, registry && { registry });
  }
}
