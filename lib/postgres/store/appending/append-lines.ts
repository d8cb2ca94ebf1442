import type { PreparedAppend } from '../../../store/appending/prepared-append.ts';

/**
 * The calls for one aggregate that are not settled, in the order in which they were made.
 *
 * A call is sent only when it is the first in the lines of all aggregates that it touches, or in one
 * batch with everything before it. So the order of calls is the order of events, whatever way the calls
 * are sent and however often one has to be sent again.
 */
export class Line {
  readonly places: Place[] = [];
  /** Since when a transaction is known to hold the aggregate, by `performance.now()`. */
  heldSince: number | undefined = undefined;

  constructor(readonly key: string) {}
}

/** One call's place in the lines of the aggregates that it touches, and what it sends from there. */
export class Place {
  readonly lines: Line[] = [];
  /** In how many of its lines another call is before it. */
  ahead = 0;
  /** When the call was made; 0 if no aggregate of it was held then. */
  calledAt = 0;
  /** Empty until the call is prepared. */
  appends: readonly PreparedAppend[] = [];
  /** Sends the call by itself; undefined if it travels in batches. */
  attempt: ((patience: Patience) => Promise<unknown>) | undefined = undefined;
  /** In flight: it must not be sent a second time meanwhile. */
  isSent = false;
  /** An earlier try was not answered, so it may be stored already. */
  resent = false;
  bytes = 0;
  /** Why the last try was in vain, if another transaction was in the way. */
  obstacle: unknown = undefined;
  resolve: (value: never) => void = ignore;
  reject: (error: unknown) => void = ignore;

  get isFirst(): boolean {
    return this.ahead === 0;
  }

  /** Whether it may be sent as soon as it is its turn. */
  get isReady(): boolean {
    return !this.isSent && this.appends.length > 0;
  }
}

/** How a call deals with aggregates that other transactions hold. */
export interface Patience {
  /** Waits for their locks, for `lockTimeoutMs`. Otherwise only a creation in progress is waited for. */
  readonly wait: boolean;
  readonly lockTimeoutMs: number;
}

/** The lines of all aggregates that some call touches. */
export class AppendLines {
  readonly #lines = new Map<string, Line>();

  /** Puts a new place at the end of the lines of these aggregates, each named once. */
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

  /** Takes a place out of its lines and returns those that nothing is before any more. */
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
