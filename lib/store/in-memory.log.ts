import { isDeepStrictEqual } from 'node:util';
import type { SerializedEvent, StoredEvent } from '../events/event-serializer.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { PreparedAppend } from './prepare-append.ts';
import { checkDirection, type ReadDirection } from './read-options.ts';
import type { StoredSnapshot } from './revive-snapshot.ts';
import { DuplicateEventError, WrongExpectedVersionError } from './store.errors.ts';

/** Where an append stands in the log; `stored` is empty for an empty append. */
export interface Placement {
  readonly version: number;
  readonly stored: readonly StoredEvent[];
  readonly duplicate: boolean;
}

interface AggregateRow {
  version: number;
  /** The version at the last removal: the events up to here are gone for good. */
  removedVersion: number;
  events: StoredEvent[];
  snapshot: StoredSnapshot | null;
}

/** The rows behind `InMemoryEventStore`: serialized events in the order of their positions. */
export class InMemoryLog {
  events: StoredEvent[] = [];
  readonly #aggregates = new Map<string, AggregateRow>();
  readonly #eventsById = new Map<string, StoredEvent>();
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

  /** The position up to which there is something to read. */
  get lastPosition(): number {
    return this.events.at(-1)?.position ?? 0;
  }

  /** The position of an aggregate's event; 0 if there is none at this version. */
  positionAt(ref: AggregateRef, version: number): number {
    return this.aggregate(ref).events.find((event) => event.version === version)?.position ?? 0;
  }

  /** Writes the appends in order; if one cannot be taken, none of them stands in the log. */
  write(appends: readonly PreparedAppend[], recordedAt: Date): Placement[] {
    const length = this.events.length;
    try {
      const placements = appends.map((append) => this.#place(append, recordedAt));
      const repeated = placements.findIndex(({ duplicate }) => duplicate);
      if (repeated >= 0 && this.events.length > length) {
        throw this.#duplicateError(appends[repeated]!);
      }
      return placements;
    } catch (error) {
      for (const event of this.events.splice(length)) {
        const row = this.aggregate(event.aggregate);
        row.events.pop();
        row.version -= 1;
        this.#eventsById.delete(event.id);
      }
      throw error;
    }
  }

  /** Deletes the events and the snapshot of an aggregate; its version and all positions stay used. */
  remove(ref: AggregateRef): number {
    const row = this.aggregate(ref);
    const removed = new Set(row.events);
    this.events = this.events.filter((event) => !removed.has(event));
    for (const event of removed) this.#eventsById.delete(event.id);
    Object.assign(row, { removedVersion: row.version, events: [], snapshot: null });
    return removed.size;
  }

  #place(append: PreparedAppend, recordedAt: Date): Placement {
    const row = this.aggregate(append.aggregate);
    if (append.events.some(({ id }) => this.#eventsById.has(id))) {
      const stored = this.#repeated(append, row);
      if (stored === undefined) throw this.#duplicateError(append);
      return { version: stored.at(-1)!.version, stored, duplicate: true };
    }
    if (!append.expectation.accepts(row.version)) {
      const { expected } = append.expectation;
      throw new WrongExpectedVersionError(append.aggregate, expected, row.version);
    }
    const stored = append.events.map((event) =>
      this.#add(append.aggregate, row, event, recordedAt),
    );
    return { version: row.version, stored, duplicate: false };
  }

  /** Finds the events of an append that is made again, where its expectation once let them in. */
  #repeated({ events, expectation }: PreparedAppend, row: AggregateRow): StoredEvent[] | undefined {
    const start = row.events.findIndex(({ id }) => id === events[0]?.id);
    const stored = row.events.slice(start, start + events.length);
    const first = stored[0];
    if (start < 0 || first === undefined || stored.length !== events.length) return undefined;
    const same = stored.every((event, index) => isSameEvent(event, events[index]));
    return same && expectation.accepts(first.version - 1) ? stored : undefined;
  }

  #duplicateError({ aggregate, events }: PreparedAppend): DuplicateEventError {
    const ids = events.map(({ id }) => id).filter((id) => this.#eventsById.has(id));
    return new DuplicateEventError(aggregate, ids);
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
    this.#eventsById.set(id, stored);
    return stored;
  }
}

function isSameEvent(stored: StoredEvent, event: SerializedEvent | undefined): boolean {
  return (
    stored.id === event?.id &&
    stored.type === event.type &&
    // Key order is no difference, as it is none in jsonb.
    isDeepStrictEqual(JSON.parse(stored.payload), JSON.parse(event.payload))
  );
}

/** One page of events in ascending order: after a place or, backward, before it. */
export function pageOf(
  events: readonly StoredEvent[],
  place: 'version' | 'position',
  after: number,
  limit: number,
  direction?: ReadDirection,
): StoredEvent[] {
  if (checkDirection(direction) === 'forward') {
    return events.filter((event) => event[place] > after).slice(0, limit);
  }
  const before = after === 0 ? events : events.filter((event) => event[place] < after);
  return before.slice(-limit).reverse();
}
