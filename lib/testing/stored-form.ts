import { randomUUID } from 'node:crypto';
import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { EventRegistry } from '../events/event-registry.ts';
import { EventSerializer } from '../events/event-serializer.ts';
import { JsonCodec } from '../events/payload/json.codec.ts';

/** Returns events as a store would return them. */
export class StoredForm {
  readonly #registry = new EventRegistry();
  readonly #serializer: EventSerializer;

  constructor(codec: EventCodec = new JsonCodec()) {
    this.#serializer = new EventSerializer(this.#registry, codec);
  }

  /**
   * Returns the events as they are read back: new instances of their classes.
   *
   * @throws UnregisteredEventError, InvalidEventError or EventSchemaError, as an append does.
   * @throws TypeError if the decorator of a class is wrong, or a schema returns a promise.
   */
  of(events: readonly object[]): object[] {
    for (const event of events) this.#registry.register(event.constructor as EventClass);
    const serialized = this.#serializer.serialize(events);
    if (this.#registry.problems.length > 0) throw new TypeError(this.#registry.problems.join('\n'));
    if (serialized instanceof Promise) {
      // A promise is refused below, so its rejection must not end the process.
      serialized.catch(ignore);
      throw new TypeError('A scenario cannot wait for a schema that answers with a promise.');
    }
    return serialized.flatMap((event, index) =>
      this.#serializer
        .deserialize({
          ...event,
          id: randomUUID(),
          position: index + 1,
          version: index + 1,
          aggregate: { type: 'scenario', id: 'scenario' },
          recordedAt: new Date(),
        })
        .map((record) => record.event),
    );
  }
}

const ignore = (): void => undefined;
