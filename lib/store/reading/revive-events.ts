import type { EventRecord } from '../../events/event-record.ts';
import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import { noteUnreadable } from './unreadable-event.ts';

/**
 * Returns the records of stored events. @throws UnreadableEventError, from which the read can continue.
 */
export function reviveEvents(
  serializer: EventSerializer,
  events: readonly StoredEvent[],
): EventRecord[] {
  // No flatMap, which takes a tenth of the time of a read.
  const records: EventRecord[] = [];
  for (const event of events) {
    try {
      records.push(...serializer.deserialize(event));
    } catch (error) {
      noteUnreadable(error, event);
      throw error;
    }
  }
  return records;
}
