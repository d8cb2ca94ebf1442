import type { Place } from './append-lines.ts';

const maxBatchEvents = 2_000;
const maxBatchBytes = 8 * 1024 * 1024;

/** Appends that go out in one call: any first one, and no more than one call should carry. */
export class AppendBatch {
  readonly places: Place[] = [];
  #events = 0;
  #bytes = 0;
  readonly #ids = new Set<string>();

  constructor(private readonly maxPlaces = Infinity) {}

  /** Adds a place, or returns false: the batch is complete without it. */
  add(place: Place): boolean {
    let isRepetition = false;
    for (const { hasCallerIds, events } of place.appends) {
      this.#events += events.length;
      if (!hasCallerIds) continue;
      for (const { id } of events) {
        isRepetition ||= this.#ids.has(id);
        this.#ids.add(id);
      }
    }
    this.#bytes += place.bytes;
    const isFull =
      this.places.length >= this.maxPlaces ||
      this.#events > maxBatchEvents ||
      this.#bytes > maxBatchBytes;
    // A repetition finds what it repeats only once that is stored: not in one call with it.
    if (this.places.length > 0 && (isRepetition || isFull)) return false;
    place.isSent = true;
    this.places.push(place);
    return true;
  }

  /** Adds what directly follows in the lines of its places, in turn, until the batch is complete. */
  addFollowers(): void {
    let round: readonly Place[] = this.places.slice();
    for (let depth = 1; round.length > 0; depth++) {
      const next: Place[] = [];
      for (const { lines } of round) {
        const follower = lines[0]!.places[depth];
        if (!follower?.isReady || follower.attempt) continue;
        if (!this.add(follower)) return;
        next.push(follower);
      }
      round = next;
    }
  }
}
