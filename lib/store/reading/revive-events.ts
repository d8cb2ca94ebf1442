import type { EventRecord } from '../../events/event-record.ts';
import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import { noteUnreadable } from './unreadable-event.ts';

/** Returns the records of stored events. @throws UnreadableEventError, which knows where to read on. */
export function reviveEvents(
  serializer: EventSerializer,
  events: readonly StoredEvent[],
): EventRecord[] {
  // Not flatMap, which takes a tenth of the time of reading.
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
