import { EventStoreError } from './event-store.error.ts';

/** The store cannot start as it is configured: every fault of this boot, each with its remedy. */
export class EventStoreConfigurationError extends EventStoreError {
  readonly code = 'EVENT_STORE_CONFIGURATION';

  constructor(
    readonly storeName: string,
    readonly faults: readonly string[],
  ) {
    super(
      `The event store '${storeName}' cannot start:\n` +
        faults.map((fault) => `- ${fault}`).join('\n'),
    );
  }
}
