import type { AggregateRef } from '../aggregate-ref.ts';

// By the reference that the records of one append share. An entry ends with the last of these records.
const dispatchers = new WeakMap<AggregateRef, object>();

/** Notes that the append to this reference saves `dispatcher`, which its events are published for. */
export function dispatchedBy(reference: AggregateRef, dispatcher?: object): AggregateRef {
  if (dispatcher) dispatchers.set(reference, dispatcher);
  return reference;
}

/** Returns the aggregate that an append has saved; `undefined` if it was not made by a repository. */
export const dispatcherOf = (reference: AggregateRef): object | undefined =>
  dispatchers.get(reference);
