import type { PreparedAppend } from '../../../store/appending/prepared-append.ts';

/**
 * The unsettled calls for one aggregate, in the order in which they were made.
 *
 * A call is sent only when it is the first in the lines of all its aggregates, or in one batch with all
 * calls before it. The order of calls is therefore the order of events, whichever way the calls are
 * sent, and however often one has to be sent again.
 */
export class Line {
  readonly places: Place[] = [];
  /** Since when the aggregate is known to be held by a transaction, by `performance.now()`. */
  heldSince: number | undefined = undefined;

  constructor(readonly key: string) {}
}

/** The place of one call in the lines of its aggregates, and what the call sends. */
export class Place {
  readonly lines: Line[] = [];
  /** The number of its lines in which another call is before it. */
  ahead = 0;
  /** When the call was made; 0 if none of its aggregates was held then. */
  calledAt = 0;
  /** Empty until the call is prepared. */
  appends: readonly PreparedAppend[] = [];
  /** Sends the call by itself; undefined if the call is sent in batches. */
  attempt: ((patience: Patience) => Promise<unknown>) | undefined = undefined;
  /** Whether the call is in flight, and must not be sent a second time meanwhile. */
  isSent = false;
  /** Whether an earlier attempt got no answer, so that the call may already be stored. */
  resent = false;
  bytes = 0;
  /** The error of the last attempt, if another transaction was in the way. */
  obstacle: unknown = undefined;
  resolve: (value: never) => void = ignore;
  reject: (error: unknown) => void = ignore;

  get isFirst(): boolean {
    return this.ahead === 0;
  }

  /** Returns whether the call may be sent once it is first in its lines. */
  get isReady(): boolean {
    return !this.isSent && this.appends.length > 0;
  }
}

/** How a call deals with aggregates that other transactions hold. */
export interface Patience {
  /** Waits for their locks, up to `lockTimeoutMs`. Otherwise waits only for a creation in progress. */
  readonly wait: boolean;
  readonly lockTimeoutMs: number;
}

/** The lines of all aggregates with unsettled calls. */
export class AppendLines {
  readonly #lines = new Map<string, Line>();

  /** Adds a new place at the end of the lines of these aggregates, which must be distinct. */
  join(keys: Iterable<string>): Place {
    const place = new Place();
    for (const key of keys) {
      let line = this.#lines.get(key);
      if (line === undefined) this.#lines.set(key, (line = new Line(key)));
      else {
        place.ahead++;
        if (line.heldSince !== undefined) place.calledAt = performance.now();
      }
      line.places.push(place);
      place.lines.push(line);
    }
    return place;
  }

  /** Removes a place from its lines, and returns the places that became the first in all their lines. */
  leave(place: Place): Place[] {
    const freed: Place[] = [];
    for (const { key, places } of place.lines) {
      const index = places.indexOf(place);
      places.splice(index, 1);
      const first = places[0];
      if (first === undefined) this.#lines.delete(key);
      else if (index === 0 && --first.ahead === 0) freed.push(first);
    }
    return freed;
  }
}

const ignore = (): void => undefined;
