import type { EventMetadata } from './metadata/event-metadata.ts';
import { KnownOptions } from '../input/known-options.ts';

interface EventDataOptions {
  id?: string;
  metadata?: EventMetadata;
}

const eventDataOptions = new KnownOptions<EventDataOptions>('EventData', {
  id: true,
  metadata: true,
});

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

  /** @throws TypeError if there is an option of another name. */
  constructor(event: E, options: EventDataOptions = {}) {
    const { id, metadata } = eventDataOptions.take(options);
    this.event = event;
    this.id = id;
    this.metadata = metadata;
  }
}
