import type { Place } from './append-lines.ts';

const maxBatchEvents = 2_000;
const maxBatchBytes = 8 * 1024 * 1024;

/** Appends that are sent in one call. The first may have any size; the rest must keep the call small. */
export class AppendBatch {
  readonly places: Place[] = [];
  #events = 0;
  #bytes = 0;
  readonly #ids = new Set<string>();

  constructor(private readonly maxPlaces = Infinity) {}

  /** Adds a place, or returns false if the batch is complete without it. */
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
    // A repetition finds the event that it repeats only once that is stored, so not in the same call.
    if (this.places.length > 0 && (isRepetition || isFull)) return false;
    place.isSent = true;
    this.places.push(place);
    return true;
  }

  /**
   * Adds the places that directly follow in the lines of its places, in turn, until the batch is
   * complete.
   */
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
