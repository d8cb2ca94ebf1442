import { AsyncLocalStorage } from 'node:async_hooks';

interface Tracker {
  last: number | undefined;
  readonly outer: Tracker | undefined;
}

// Holds no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<Tracker>();

/**
 * Runs `work`, which can ask for the last position that was appended inside it, however deep.
 *
 * Inside a caller's transaction that position is known before the commit. Returns what `work` returns.
 */
export function trackAppends<T>(work: (lastAppended: () => number | undefined) => T): T {
  const tracker: Tracker = { last: undefined, outer: surrounding.getStore() };
  return surrounding.run(tracker, () => work(() => tracker.last));
}

/** Notes for all trackers of this asynchronous flow that an append in it has reached this position. */
export function noteAppended(position: number): void {
  for (let each = surrounding.getStore(); each; each = each.outer) {
    each.last = Math.max(position, each.last ?? 0);
  }
}
