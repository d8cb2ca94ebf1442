import { EventStoreError } from '../event-store.error.ts';
import { escapeUnprintable } from '../input/printable-name.ts';

/** The store cannot start with its configuration. The message lists every problem with its remedy. */
export class EventStoreConfigurationError extends EventStoreError {
  readonly code = 'EVENT_STORE_CONFIGURATION';

  constructor(
    readonly storeName: string,
    readonly problems: readonly string[],
  ) {
    super(`The event store '${storeName}' cannot start:`);
    this.message += problems.map((problem) => `\n- ${escapeUnprintable(problem)}`).join('');
  }
}
