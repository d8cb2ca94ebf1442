import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { EventData } from '../events/event-data.ts';
import type { EventRecord } from '../events/event-record.ts';
import { EventRegistry } from '../events/event-registry.ts';
import type { Append } from '../store/appending/append.ts';
import { InMemoryEventStore } from '../store/in-memory/in-memory.event-store.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { eventFilterOf } from '../subscriptions/delivery/event-filter.ts';

/**
 * Returns the records of these appends as a consumer would receive them from a store.
 *
 * @throws TypeError if the decorator of an event class is wrong, and any error of `appendAll`.
 */
export async function recordsFor(
  consumer: Consumer,
  appends: readonly Append[],
  { codec, recordedAt = new Date() }: { readonly codec?: EventCodec; readonly recordedAt?: Date },
): Promise<readonly EventRecord[]> {
  const registry = new EventRegistry();
  for (const event of appends.flatMap((append) => append.events)) {
    const { constructor } = event instanceof EventData ? event.event : event;
    registry.register(constructor as EventClass);
  }
  const store = new InMemoryEventStore(
    { ...(codec && { codec }), clock: () => recordedAt },
    registry,
  );
  await store.appendAll(appends);
  if (registry.problems.length > 0) throw new TypeError(registry.problems.join('\n'));

  const isTaken = eventFilterOf(consumer);
  const records: EventRecord[] = [];
  for await (const record of store.stream()) {
    if (isTaken(record)) records.push(record);
  }
  return records;
}
