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
 * An event to append together with its own id or metadata.
 *
 * `append` takes plain event instances. Wrap one in `EventData` to give it an id (a UUID), which makes
 * it safe to repeat the append, or metadata that only this event carries.
 *
 * @example
 * await store.append(ref, [new EventData(new OfferSent(42), { id: message.id })]);
 */
export class EventData<E extends object = object> {
  readonly event: E;
  readonly id: string | undefined;
  readonly metadata: EventMetadata | undefined;

  /** @throws TypeError if an option has an unknown name. */
  constructor(event: E, options: EventDataOptions = {}) {
    const { id, metadata } = eventDataOptions.take(options);
    this.event = event;
    this.id = id;
    this.metadata = metadata;
  }
}
