import type { IdentifiedAggregate } from './aggregate.decorator.ts';

/** Returns the state to keep: the aggregate's `toSnapshot()`, or its own members without the id. */
export function stateOf(aggregate: IdentifiedAggregate): object {
  if (aggregate.toSnapshot) return aggregate.toSnapshot();
  const { id: _, ...state } = aggregate as IdentifiedAggregate & Record<string, unknown>;
  // AggregateRoot keeps its own fields under symbols; they are no state.
  return Object.fromEntries(Object.entries(state));
}

/** Brings a fresh aggregate to a kept state. */
export function restoreState(aggregate: IdentifiedAggregate, state: object): void {
  if (aggregate.restoreSnapshot) {
    aggregate.restoreSnapshot(state);
    return;
  }
  for (const [key, value] of Object.entries(state)) {
    // Defined, not assigned: a stored member must not reach a setter or the prototype.
    Object.defineProperty(aggregate, key, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}
