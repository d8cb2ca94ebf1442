import { LRUCache } from 'lru-cache';
import type { Replay } from '../store/reading/replay.ts';

// Whatever the number of aggregates: histories that would take more are read again instead.
const maxBytes = 64 * 1_048_576;

/**
 * The histories of the aggregates used last, so that the next use reads only newer events.
 *
 * It keeps what was read from the log, never an aggregate: one that a caller has worked on may hold what
 * no event says. Every use checks with its read that the log still holds the last event, so nothing
 * relies on what is here.
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

  /** Keeps a history, unless it does not know its own last event, by which the next read continues it. */
  put(id: string, replay: Replay | undefined): void {
    if (replay !== undefined && replay.lastEventId !== null) this.#histories?.set(id, replay);
    else this.delete(id);
  }

  delete(id: string): void {
    this.#histories?.delete(id);
  }
}
