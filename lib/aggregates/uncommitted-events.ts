import type { AggregateRoot } from '@nestjs/cqrs';
import { CommitBeforeSaveError } from './aggregates.errors.ts';

/** The part of `AggregateRoot` (or of its mixin `WithAggregateRoot`) that this library uses. */
export type RootAggregate = Pick<
  AggregateRoot<object>,
  | 'apply'
  | 'autoCommit'
  | 'commit'
  | 'getUncommittedEvents'
  | 'loadFromHistory'
  | 'publish'
  | 'publishAll'
  | 'uncommit'
>;

// In the global symbol registry, so that two copies of this package in one process share the key.
const clearKey = Symbol.for('nest-event-store:clear-uncommitted-events');
const lostKey = Symbol.for('nest-event-store:lost-events');

type Guarded = RootAggregate & {
  readonly id?: string;
  [clearKey]?: () => void;
  readonly [lostKey]?: true;
};

/**
 * Guards the list of uncommitted events of a class's aggregates until they are saved.
 *
 * An event that left the list in any other way would be in the state but not in the log. Callers
 * therefore get a copy of the list, `commit()` is refused while the list is not empty, and an aggregate
 * that lost events to `uncommit()` or `autoCommit` is marked and cannot be saved.
 */
export function guardUncommittedEvents(prototype: Guarded, type: string): void {
  // A parent's guard is inherited.
  if (prototype[clearKey]) return;
  const { apply, commit, getUncommittedEvents, uncommit } = prototype;
  const guard = {
    getUncommittedEvents(this: Guarded) {
      return [...getUncommittedEvents.call(this)];
    },
    commit(this: Guarded) {
      const { length } = this.getUncommittedEvents();
      if (length > 0) throw new CommitBeforeSaveError({ type, id: String(this.id) }, length);
      commit.call(this);
    },
    uncommit(this: Guarded) {
      if (this.getUncommittedEvents().length > 0) markLost(this);
      uncommit.call(this);
    },
    apply(this: Guarded, event: object, options?: ApplyOptions) {
      const fromHistory = typeof options === 'boolean' ? options : options?.fromHistory;
      if (this.autoCommit && !fromHistory) markLost(this);
      // Of the two signatures, one takes a boolean; TypeScript resolves a call to the other.
      apply.call(this, event, options as Exclude<ApplyOptions, boolean>);
    },
    [clearKey]: uncommit,
  };
  for (const key of Reflect.ownKeys(guard)) {
    const value = guard[key as keyof typeof guard];
    Object.defineProperty(prototype, key, { value, configurable: true, writable: true });
  }
}

type ApplyOptions = boolean | { readonly fromHistory?: boolean; readonly skipHandler?: boolean };

/** Returns whether events were applied that are neither uncommitted nor saved. */
export const hasLostEvents = (aggregate: Guarded): boolean => aggregate[lostKey] === true;

/** Replaces the aggregate's uncommitted events with these, without calling its handlers. */
export function setUncommittedEvents(aggregate: Guarded, events: readonly object[]): void {
  (aggregate[clearKey] ?? aggregate.uncommit).call(aggregate);
  for (const event of events) aggregate.apply(event, { skipHandler: true });
}

function markLost(aggregate: Guarded): void {
  Object.defineProperty(aggregate, lostKey, { value: true });
}
