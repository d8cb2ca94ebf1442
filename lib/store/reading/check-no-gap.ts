import type { AggregateRef } from '../aggregate-ref.ts';
import { CorruptAggregateError } from '../store.errors.ts';

/**
 * Refuses a history with a hole in it, so that no aggregate is ever folded over a missing event.
 *
 * `stored` are the events after version `after`, in order, and must reach `version`, that of the
 * aggregate. If events of the aggregate were removed, `after` is at least its version at the removal.
 *
 * @throws CorruptAggregateError with the first missing version.
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
