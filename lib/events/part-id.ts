import { nameBasedId } from './name-based-id.ts';

// Holds only the parts that stored events were split into, each for as long as its record exists.
const eventIds = new WeakMap<object, string>();

/**
 * Returns the id of one of the records that a stored event is read as. The first has the id of the
 * event; each later part has an id derived from it, so that a handler that deduplicates by id loses no
 * part.
 */
export const partId = (eventId: string, part: number): string =>
  part === 0 ? eventId : nameBasedId(eventId, `part ${part}`);

/** Remembers the id of the stored event that a later part was read from. */
export function rememberEventId(record: { readonly id: string }, eventId: string): void {
  if (record.id !== eventId) eventIds.set(record, eventId);
}

/** Returns the id under which the event of a record is stored. */
export const eventIdOf = (record: { readonly id: string }): string =>
  eventIds.get(record) ?? record.id;
