import { LRUCache } from 'lru-cache';
import type { Replay } from '../store/reading/replay.ts';

// The limit for all aggregates together; a history beyond it is read from the log again.
const maxBytes = 64 * 1_048_576;

/**
 * Caches the histories of the aggregates used last, so that the next use reads only newer events.
 *
 * The cache holds what was read from the log, never an aggregate: an aggregate that a caller has worked
 * on may hold state that no event describes. Every use reads from the log whether it still holds the
 * last cached event, so correctness never depends on the cache.
 */
export class HistoryCache {
  readonly #histories: LRUCache<string, Replay> | undefined;

  /** `size` is the number of aggregates kept; 0 keeps none. */
  constructor(size: number) {
    if (size === 0) return;
    this.#histories = new LRUCache({
      max: size,
      maxSize: maxBytes,
      sizeCalculation: (replay) => replay.size,
    });
  }

  get(id: string): Replay | undefined {
    return this.#histories?.get(id);
  }

  /** Caches a history, unless it does not know its last event, from which the next read continues. */
  put(id: string, replay: Replay | undefined): void {
    if (replay !== undefined && replay.lastEventId !== null) this.#histories?.set(id, replay);
    else this.delete(id);
  }

  delete(id: string): void {
    this.#histories?.delete(id);
  }
}
