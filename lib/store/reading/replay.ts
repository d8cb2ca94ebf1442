import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import type { AggregateHistory } from './aggregate-history.ts';
import type { StoredSnapshot } from './revive-snapshot.ts';

/** The event before the first event of a history: at the snapshot's version, or at `after`. */
export interface ReplayBase {
  readonly version: number;
  /** `null` if the log holds no event at this version. */
  readonly eventId: string | null;
}

/** The decoded state and events for one fold of an aggregate. */
export interface Replayed {
  readonly state: object | null;
  readonly events: readonly object[];
}

/**
 * A history as it is stored, from which an aggregate can be folded any number of times.
 *
 * Every decoding makes a new state and new events, so a change to them never reaches the next decoding.
 */
export class Replay {
  readonly #serializer: EventSerializer;
  readonly #base: ReplayBase;
  readonly #snapshot: StoredSnapshot | null;
  readonly #events: readonly StoredEvent[];

  constructor(
    serializer: EventSerializer,
    base: ReplayBase,
    snapshot: StoredSnapshot | null,
    events: readonly StoredEvent[],
  ) {
    this.#serializer = serializer;
    this.#base = base;
    this.#snapshot = snapshot;
    this.#events = events;
  }

  /** The version at its end. */
  get version(): number {
    return this.#events.at(-1)?.version ?? this.#base.version;
  }

  /** The id of the event at that version; `null` if it is not known. */
  get lastEventId(): string | null {
    return this.#events.at(-1)?.id ?? this.#base.eventId;
  }

  /** Its approximate size in bytes. */
  get size(): number {
    return this.#events.reduce((sum, event) => sum + sizeOf(event), sizeOfState(this.#snapshot));
  }

  /**
   * Returns both as one replay, or `undefined` if `next` does not continue this one.
   *
   * It does if, at the version where this one ends, the log holds the same event. The version alone
   * proves nothing: in a restored log, or after a failover, another event may have it. Two logs that
   * share one event share everything that was stored before it.
   */
  followedBy(next: Replay): Replay | undefined {
    const { version, eventId } = next.#base;
    if (eventId === null || version !== this.version || eventId !== this.lastEventId) {
      return undefined;
    }
    if (next.#events.length === 0) return this;
    const events = [...this.#events, ...next.#events];
    return new Replay(this.#serializer, this.#base, this.#snapshot, events);
  }

  decode(): Replayed {
    const state = this.#snapshot && this.#serializer.deserializeState(this.#snapshot.state);
    const events: object[] = [];
    for (const stored of this.#events) {
      for (const { event } of this.#serializer.deserialize(stored)) events.push(event);
    }
    return { state, events };
  }
}

const replays = new WeakMap<AggregateHistory, Replay>();

/** Remembers the stored form of a history that a store has read. */
export function rememberReplay(history: AggregateHistory, replay: Replay): AggregateHistory {
  replays.set(history, replay);
  return history;
}

/** Returns the stored form of a history; `undefined` if the store did not remember one. */
export const replayOf = (history: AggregateHistory): Replay | undefined => replays.get(history);

// The size of everything that is not text: the object itself, its id, its time.
const fixedSize = 300;

const sizeOf = ({ payload, binary, metadata }: StoredEvent): number =>
  fixedSize + payload.length + metadata.length + (binary?.length ?? 0);

const sizeOfState = (snapshot: StoredSnapshot | null): number =>
  fixedSize + (snapshot?.state.json.length ?? 0) + (snapshot?.state.binary?.length ?? 0);
