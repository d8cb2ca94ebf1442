import type { EventMetadata } from './event-metadata.ts';

/**
 * An event to be written, with an id or metadata of its own.
 *
 * `append` takes plain event instances; wrap one in `EventData` to give it an id (a UUID), which
 * makes repeating the append harmless, or metadata that only this event carries.
 *
 * @example
 * await store.append(ref, [new EventData(new OfferSent(42), { id: message.id })]);
 */
export class EventData<E extends object = object> {
  readonly event: E;
  readonly id: string | undefined;
  readonly metadata: EventMetadata | undefined;

  constructor(event: E, options: { id?: string; metadata?: EventMetadata } = {}) {
    this.event = event;
    this.id = options.id;
    this.metadata = options.metadata;
  }
}
