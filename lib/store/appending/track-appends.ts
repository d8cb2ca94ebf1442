import { AsyncLocalStorage } from 'node:async_hooks';

interface Tracker {
  last: number | undefined;
  readonly outer: Tracker | undefined;
}

// This is no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<Tracker>();

/**
 * Runs `work`, and passes it a function that returns the last position appended inside it, at any
 * depth.
 *
 * Inside a caller's transaction, this position is known before the commit. Returns what `work` returns.
 */
export function trackAppends<T>(work: (lastAppended: () => number | undefined) => T): T {
  const tracker: Tracker = { last: undefined, outer: surrounding.getStore() };
  return surrounding.run(tracker, () => work(() => tracker.last));
}

/** Reports to all trackers of this asynchronous flow that an append has reached this position. */
export function noteAppended(position: number): void {
  for (let each = surrounding.getStore(); each; each = each.outer) {
    each.last = Math.max(position, each.last ?? 0);
  }
}
