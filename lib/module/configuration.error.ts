import { EventStoreError } from '../event-store.error.ts';
import { escapeUnprintable } from '../input/printable-name.ts';

/** The store cannot start as it is configured: every fault of this boot, each with its remedy. */
export class EventStoreConfigurationError extends EventStoreError {
  readonly code = 'EVENT_STORE_CONFIGURATION';

  constructor(
    readonly storeName: string,
    readonly faults: readonly string[],
  ) {
    super(`The event store '${storeName}' cannot start:`);
    this.message += faults.map((fault) => `\n- ${escapeUnprintable(fault)}`).join('');
  }
}
