import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { EventIdAt } from './idempotency-key.ts';
import type { AppendParts } from './append-parts.ts';
import { DuplicateEventError } from './append.errors.ts';

/** The place of an event in its aggregate, even after the event was removed. */
export interface EventPlace {
  readonly id: string;
  readonly aggregate: AggregateRef;
  readonly version: number;
  readonly position: number;
  readonly isRemoved: boolean;
}

/**
 * Returns whether the same append has already stored these events.
 *
 * It has if all of them are in the aggregate, one after another, at a place that the expectation
 * allows.
 */
export function isRepetition(append: AppendParts, places: readonly EventPlace[]): boolean {
  const { count, from } = firstOnes(append, places);
  return count === append.events.length && append.expectation.accepts(from - 1);
}

/** Returns why an append is no repetition although some of its events are already stored. */
export function duplicateError(
  append: AppendParts,
  places: readonly EventPlace[],
): DuplicateEventError {
  const { aggregate, events, expectation } = append;
  const ids = new Set(events.map(({ id }) => id));
  const stored = places.filter(({ id }) => ids.has(id));
  const elsewhere = stored.find((place) => !isSame(place.aggregate, aggregate));
  const { count, from } = firstOnes(append, stored);
  const isWhole = count === events.length;
  return new DuplicateEventError(
    aggregate,
    stored.map(({ id }) => id),
    {
      reason: elsewhere
        ? 'other-aggregate'
        : isWhole
          ? expectation.accepts(from - 1)
            ? 'beside-new-appends'
            : 'other-version'
          : count > 0 && count === stored.length
            ? 'partly-stored'
            : 'other-order',
      eventCount: events.length,
      storedIn: elsewhere?.aggregate ?? aggregate,
      storedCount: count,
      storedFrom: count > 0 ? from : undefined,
      storedTo: count > 0 ? from + count - 1 : undefined,
      isRemoved: stored.some((place) => place.isRemoved),
    },
  );
}

/**
 * Compares an append, which is a repetition by its ids, with the stored events of these ids.
 *
 * @throws DuplicateEventError if the stored events have other types or content.
 */
export function checkContent(
  { aggregate, events }: AppendParts,
  lastVersion: number,
  stored: readonly StoredEvent[],
  serializer: EventSerializer,
): void {
  const storedFrom = lastVersion - events.length + 1;
  const byVersion = new Map(stored.map((event) => [event.version, event]));
  const other = events.filter((event, index) => {
    const same = byVersion.get(storedFrom + index);
    // An event that was removed meanwhile cannot be compared.
    return same !== undefined && !serializer.isSame(same, event);
  });
  if (other.length === 0) return;
  const ids = other.map(({ id }) => id);
  throw new DuplicateEventError(aggregate, ids, {
    reason: 'other-content',
    eventCount: events.length,
    storedIn: aggregate,
    storedCount: events.length,
    storedFrom,
    storedTo: lastVersion,
  });
}

/**
 * Counts the first events that are in the aggregate one after another, and finds their first version.
 */
function firstOnes(
  { aggregate, events }: AppendParts,
  places: readonly EventPlace[],
): { readonly count: number; readonly from: number } {
  const byId = new Map(places.map((place) => [place.id, place]));
  const from = byId.get(events[0]?.id ?? '')?.version ?? 0;
  let count = 0;
  for (const { id } of events) {
    const place = byId.get(id);
    if (!place || place.version !== from + count || !isSame(place.aggregate, aggregate)) break;
    count++;
  }
  return { count, from };
}

const isSame = (a: AggregateRef, b: AggregateRef): boolean => a.type === b.type && a.id === b.id;

/**
 * Returns the places of all events that were appended with a key, in order; an empty list if there are
 * none.
 *
 * The ids alone tell how many there are: the ids derive from the places 1, 2, 3 …
 */
export async function placesByKey(
  idAt: EventIdAt,
  expectedCount: number,
  find: (ids: readonly string[]) => Promise<EventPlace[]>,
): Promise<EventPlace[]> {
  const places: EventPlace[] = [];
  for (let count = Math.max(expectedCount + 1, 10); ; count *= 2) {
    const ids = Array.from({ length: count }, (_, index) => idAt(places.length + index + 1));
    const byId = new Map((await find(ids)).map((place) => [place.id, place]));
    for (const id of ids) {
      const place = byId.get(id);
      if (!place) return places;
      places.push(place);
    }
  }
}
