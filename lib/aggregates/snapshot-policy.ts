/** Decides after a save whether the aggregate's state should be kept as its snapshot. */
export interface SnapshotPolicy {
  /** Returns whether a snapshot is due; `before` and `after` are the versions around the save. */
  isDue(before: number, after: number): boolean;
}

/**
 * Returns a policy that takes a snapshot whenever the version passes a multiple of `count`.
 *
 * @throws RangeError if `count` is not a whole number from 1 up.
 */
export function everyNEvents(count: number): SnapshotPolicy {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`everyNEvents needs a whole number from 1 up, got ${String(count)}.`);
  }
  return { isDue: (before, after) => Math.floor(before / count) < Math.floor(after / count) };
}

/** The policy of an aggregate without one: the aggregate is always folded from all of its events. */
export const noSnapshots: SnapshotPolicy = { isDue: () => false };
