import { nameBasedId } from './name-based-id.ts';

// Only what a stored event was split into is remembered here, as long as the record itself.
const eventIds = new WeakMap<object, string>();

/**
 * Returns the id of one of the records that a stored event is read as: that of the event for the
 * first, and for each later part one that is derived from it, so that a handler which deduplicates
 * by the record's id loses no part.
 */
export const partId = (eventId: string, part: number): string =>
  part === 0 ? eventId : nameBasedId(eventId, `part ${part}`);

/** Remembers which stored event a later part was read from. */
export function rememberEventId(record: { readonly id: string }, eventId: string): void {
  if (record.id !== eventId) eventIds.set(record, eventId);
}

/** Returns the id under which the event of a record is stored. */
export const eventIdOf = (record: { readonly id: string }): string =>
  eventIds.get(record) ?? record.id;
