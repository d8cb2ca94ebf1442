import type { AggregateRef } from '../aggregate-ref.ts';
import { CorruptAggregateError } from '../store.errors.ts';

/**
 * Refuses a history with a hole in it, so that no aggregate is ever folded over a missing event.
 *
 * `stored` are the events after version `after`, in order, and must reach up to `version`, the
 * aggregate's own. For an aggregate with removed events, `after` is at least the version it had then.
 *
 * @throws CorruptAggregateError naming the first version that is missing.
 */
export function checkNoGap(
  aggregate: AggregateRef,
  after: number,
  stored: readonly { readonly version: number; readonly position: number }[],
  version: number,
): void {
  let last = after;
  for (const event of stored) {
    if (event.version !== last + 1) {
      throw new CorruptAggregateError(aggregate, last + 1, event.version, event.position);
    }
    last = event.version;
  }
  if (last < version) throw new CorruptAggregateError(aggregate, last + 1, undefined, undefined);
}
