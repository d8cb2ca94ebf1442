import type { AggregateRef } from '../aggregate-ref.ts';

// Keyed by the reference that the records of one append share. An entry ends with the last of them.
const dispatchers = new WeakMap<AggregateRef, object>();

/** Records that the append to this reference saves `dispatcher`, for which its events are published. */
export function dispatchedBy(reference: AggregateRef, dispatcher?: object): AggregateRef {
  if (dispatcher) dispatchers.set(reference, dispatcher);
  return reference;
}

/** Returns the aggregate that an append has saved; `undefined` if no repository made the append. */
export const dispatcherOf = (reference: AggregateRef): object | undefined =>
  dispatchers.get(reference);
