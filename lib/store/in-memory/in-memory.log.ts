import type { SerializedEvent, StoredEvent } from '../../events/event-serializer.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import { duplicateError, type EventPlace, isRepetition } from '../appending/event-places.ts';
import type { EventIdAt } from '../appending/idempotency-key.ts';
import type { PreparedAppend } from '../appending/prepared-append.ts';
import type { ReadDirection } from '../reading/read-options.ts';
import type { StoredSnapshot } from '../reading/revive-snapshot.ts';
import { WrongExpectedVersionError } from '../appending/append.errors.ts';

/** Where an append was written; `stored` is empty for an empty append, or if its events were removed. */
export interface Placement {
  readonly version: number;
  readonly position: number;
  readonly stored: readonly StoredEvent[];
  readonly duplicate: boolean;
}

interface AggregateRow {
  version: number;
  /** The version at the last removal; all events up to it are removed. */
  removedVersion: number;
  events: StoredEvent[];
  snapshot: StoredSnapshot | null;
}

/** The rows behind `InMemoryEventStorage`: serialized events in the order of their positions. */
export class InMemoryLog {
  events: StoredEvent[] = [];
  readonly #aggregates = new Map<string, AggregateRow>();
  /** The place of every event, including removed ones. */
  readonly #places = new Map<string, EventPlace>();
  #drawnPosition = 0;

  aggregate(ref: AggregateRef): AggregateRow {
    // References have no control characters, so two of them never share a key.
    const key = `${ref.type}\n${ref.id}`;
    let row = this.#aggregates.get(key);
    if (row === undefined) {
      row = { version: 0, removedVersion: 0, events: [], snapshot: null };
      this.#aggregates.set(key, row);
    }
    return row;
  }

  /** The last position that can be read. */
  get lastPosition(): number {
    return this.events.at(-1)?.position ?? 0;
  }

  /** The position of an aggregate's event; 0 if there is none at this version. */
  positionAt(ref: AggregateRef, version: number): number {
    return this.aggregate(ref).events.find((event) => event.version === version)?.position ?? 0;
  }

  /** Writes the appends in order; if one cannot be accepted, writes none of them. */
  write(appends: readonly PreparedAppend[], recordedAt: Date): Placement[] {
    const length = this.events.length;
    try {
      const placements = appends.map((append) => this.#place(append, recordedAt));
      const repeated = placements.findIndex(({ duplicate }) => duplicate);
      const haveKeys = appends.every(({ idAt, events }) => idAt || events.length === 0);
      if (repeated >= 0 && this.events.length > length && !haveKeys) {
        throw duplicateError(appends[repeated]!, this.#placesOf(appends[repeated]!));
      }
      return placements;
    } catch (error) {
      for (const event of this.events.splice(length)) {
        const row = this.aggregate(event.aggregate);
        row.events.pop();
        row.version -= 1;
        this.#places.delete(event.id);
      }
      throw error;
    }
  }

  /** Deletes the events and the snapshot of an aggregate; its version and all positions stay used. */
  remove(ref: AggregateRef): number {
    const row = this.aggregate(ref);
    const removed = new Set(row.events);
    this.events = this.events.filter((event) => !removed.has(event));
    for (const { id } of removed) {
      this.#places.set(id, { ...this.#places.get(id)!, isRemoved: true });
    }
    Object.assign(row, { removedVersion: row.version, events: [], snapshot: null });
    return removed.size;
  }

  #place(append: PreparedAppend, recordedAt: Date): Placement {
    const row = this.aggregate(append.aggregate);
    const places = append.idAt ? this.#placesByKey(append.idAt) : this.#placesOf(append);
    if (places.length > 0) {
      if (!append.idAt && !isRepetition(append, places)) throw duplicateError(append, places);
      const { version, position } = places.at(-1)!;
      const ids = new Set(places.map(({ id }) => id));
      return {
        version,
        position,
        stored: row.events.filter((event) => ids.has(event.id)),
        duplicate: true,
      };
    }
    if (!append.expectation.accepts(row.version)) {
      const { expected } = append.expectation;
      throw new WrongExpectedVersionError(append.aggregate, expected, row.version);
    }
    const stored = append.events.map((event) =>
      this.#add(append.aggregate, row, event, recordedAt),
    );
    const position = stored.at(-1)?.position ?? 0;
    return { version: row.version, position, stored, duplicate: false };
  }

  /**
   * Returns the places of the events that were appended with a key, whose ids derive from 1, 2, 3 …
   */
  #placesByKey(idAt: EventIdAt): EventPlace[] {
    const places: EventPlace[] = [];
    for (;;) {
      const place = this.#places.get(idAt(places.length + 1));
      if (!place) return places;
      places.push(place);
    }
  }

  #placesOf({ events }: PreparedAppend): EventPlace[] {
    return events.flatMap(({ id }) => this.#places.get(id) ?? []);
  }

  #add(
    aggregate: AggregateRef,
    row: AggregateRow,
    event: SerializedEvent,
    recordedAt: Date,
  ): StoredEvent {
    const { id, type, revision, payload, binary, metadata } = event;
    const stored: StoredEvent = {
      id,
      position: (this.#drawnPosition += 1),
      aggregate: { type: aggregate.type, id: aggregate.id },
      version: (row.version += 1),
      type,
      revision,
      payload,
      binary,
      metadata,
      recordedAt,
    };
    this.events.push(stored);
    row.events.push(stored);
    const { position, version } = stored;
    this.#places.set(id, { id, aggregate: stored.aggregate, version, position, isRemoved: false });
    return stored;
  }
}

/** Returns one page of events in ascending order: after a place or, backward, before it. */
export function pageOf(
  events: readonly StoredEvent[],
  place: 'version' | 'position',
  after: number,
  limit: number,
  direction: ReadDirection,
): StoredEvent[] {
  if (direction === 'forward') {
    return events.filter((event) => event[place] > after).slice(0, limit);
  }
  const before = after === 0 ? events : events.filter((event) => event[place] < after);
  return before.slice(-limit).reverse();
}
