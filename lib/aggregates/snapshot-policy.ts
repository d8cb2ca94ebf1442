/** Decides after a save whether the aggregate's state should be kept as its snapshot. */
export interface SnapshotPolicy {
  /** `before` and `after` are the aggregate's versions before and after the save. */
  isDue(before: number, after: number): boolean;
}

/**
 * A snapshot whenever the aggregate's version passes a multiple of `count`.
 *
 * @throws RangeError if `count` is not a whole number from 1 up.
 */
export function everyNEvents(count: number): SnapshotPolicy {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`everyNEvents needs a whole number from 1 up, got ${String(count)}.`);
  }
  return { isDue: (before, after) => Math.floor(before / count) < Math.floor(after / count) };
}

/** The policy of an aggregate that names none: it is always folded from all of its events. */
export const noSnapshots: SnapshotPolicy = { isDue: () => false };
