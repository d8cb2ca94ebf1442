import type { EventRegistry } from '../../events/event-registry.ts';
import { aFunction } from '../../input/option-rules.ts';
import { EventStore } from '../event-store.ts';
import { checkStoreOptions, type StoreOptions, storeRules } from '../store-options.ts';
import { InMemoryEventStorage } from './in-memory.event-storage.ts';

export interface InMemoryEventStoreOptions extends StoreOptions {
  /** Returns the time of an append. @default () => new Date() */
  readonly clock?: () => Date;
}

const rules = { ...storeRules, clock: aFunction };

/**
 * Keeps events in the memory of this process, for tests and first steps.
 *
 * It stores serialized events and revives them on every read, so a test sees what production would see.
 * It has no transactions: `manager` is refused. All events are lost when the process ends.
 *
 * @example
 * const store = new InMemoryEventStore({ events: [AccountOpened] });
 */
export class InMemoryEventStore extends EventStore {
  /**
   * `registry` is for the testing kit of this library, which fills and then checks it.
   *
   * @throws TypeError if `events` or `upcasters` cannot be registered; the message lists all problems.
   */
  constructor(options: InMemoryEventStoreOptions = {}, registry?: EventRegistry) {
    const { clock, ...others } = checkStoreOptions<InMemoryEventStoreOptions>(
      'InMemoryEventStore',
      rules,
      options,
    );
    super(new InMemoryEventStorage(clock), others, registry && { registry });
  }
}
