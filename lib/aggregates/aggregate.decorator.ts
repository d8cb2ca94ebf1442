import { ownOptions } from '../input/known-options.ts';
import { aggregateProblems, aggregateOptionNames } from './aggregate.problems.ts';
import { noSnapshots, type SnapshotPolicy } from './snapshot-policy.ts';
import { guardUncommittedEvents, type RootAggregate } from './uncommitted-events.ts';

/**
 * An aggregate root of `@nestjs/cqrs` with an id and, optionally, methods that make and restore
 * snapshots.
 *
 * It extends `AggregateRoot`, or a class that `WithAggregateRoot` has made of your own base class.
 */
export interface IdentifiedAggregate extends RootAggregate {
  readonly id: string;
  /** Returns the state to keep as a snapshot. @default a copy of the own members, `id` left out */
  toSnapshot?(): object;
  /** Restores the state of a snapshot. @default the members of `state` become own members */
  restoreSnapshot?(state: object): void;
}

/** A class of aggregates. It is constructed with only the id, and then receives its history. */
export type AggregateClass<T extends IdentifiedAggregate = IdentifiedAggregate> = new (
  id: string,
) => T;

export interface AggregateOptions {
  /** When to keep a snapshot, such as `everyNEvents(100)`. @default no snapshots */
  readonly snapshots?: SnapshotPolicy;
  /**
   * The revision of the snapshot's state; raise it whenever the shape of the state changes. @default 1
   */
  readonly snapshotRevision?: number;
}

/** What `@Aggregate` says about a class. */
export interface AggregateDefinition {
  readonly type: string;
  readonly snapshots: SnapshotPolicy;
  readonly snapshotRevision: number;
  /** Problems of the decorator's arguments, each one sentence with its remedy. */
  readonly problems: readonly string[];
}

// In the global symbol registry, so that two copies of this package in one process share the key.
const definitionKey = Symbol.for('nest-event-store:aggregate');

/**
 * Declares a class as an aggregate. `type` is stored with its events, so it must never change.
 *
 * Its `commit()` throws `CommitBeforeSaveError` while there are uncommitted events: a save publishes
 * them itself, after it has stored them. A wrong argument is reported when the class is registered.
 *
 * @example
 * @Aggregate('loan-application', { snapshots: everyNEvents(100) })
 * export class LoanApplication extends AggregateRoot<object> {
 *   constructor(readonly id: string) { super(); }
 * }
 */
export function Aggregate(type: string, options: AggregateOptions = {}) {
  const given = ownOptions('@Aggregate', options, aggregateOptionNames);
  return (aggregateClass: AggregateClass): void => {
    const { snapshots = noSnapshots, snapshotRevision = 1 } = given;
    const problems = aggregateProblems(type, given);
    const definition: AggregateDefinition = Object.freeze({
      type,
      snapshots,
      snapshotRevision,
      problems,
    });
    Object.defineProperty(aggregateClass, definitionKey, { value: definition });
    guardUncommittedEvents(aggregateClass.prototype, type);
  };
}

/** Returns what `@Aggregate` on this class itself says; a parent's decorator does not count. */
export function aggregateOf(aggregateClass: AggregateClass): AggregateDefinition | undefined {
  return Object.getOwnPropertyDescriptor(aggregateClass, definitionKey)?.value;
}
