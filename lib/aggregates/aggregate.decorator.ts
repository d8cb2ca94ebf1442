import { ownOptions } from '../input/known-options.ts';
import { aggregateProblems, aggregateOptionNames } from './aggregate.problems.ts';
import { noSnapshots, type SnapshotPolicy } from './snapshot-policy.ts';
import { guardUncommittedEvents, type RootAggregate } from './uncommitted-events.ts';

/**
 * An aggregate root of `@nestjs/cqrs` with an id, which can say how it becomes a snapshot and back.
 *
 * It extends `AggregateRoot`, or what `WithAggregateRoot` makes of a class of yours.
 */
export interface IdentifiedAggregate extends RootAggregate {
  readonly id: string;
  /** Returns the state to keep. @default a copy of the own members, `id` left out */
  toSnapshot?(): object;
  /** Takes over a kept state. @default the members of `state` become own members */
  restoreSnapshot?(state: object): void;
}

/** A class of aggregates; it is constructed with the id alone, and then given its history. */
export type AggregateClass<T extends IdentifiedAggregate = IdentifiedAggregate> = new (
  id: string,
) => T;

export interface AggregateOptions {
  /** When to keep a snapshot, such as `everyNEvents(100)`. @default no snapshots */
  readonly snapshots?: SnapshotPolicy;
  /** Which shape the snapshot's state has; raise it with every change of it. @default 1 */
  readonly snapshotRevision?: number;
}

/** What `@Aggregate` says about a class. */
export interface AggregateDefinition {
  readonly type: string;
  readonly snapshots: SnapshotPolicy;
  readonly snapshotRevision: number;
  /** What is wrong with the decorator's arguments, each problem one sentence and its remedy. */
  readonly problems: readonly string[];
}

// Registered, so that two copies of this package in one process understand each other's classes.
const definitionKey = Symbol.for('nest-event-store:aggregate');

/**
 * Names a class as an aggregate: `type` is what is stored, so it must never change.
 *
 * Its `commit()` throws `CommitBeforeSaveError` while there are uncommitted events: publishing is what
 * a save does, after it has stored them. A wrong argument is reported when the class is registered.
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

/** Returns what `@Aggregate` on this very class says; a parent's decorator does not count. */
export function aggregateOf(aggregateClass: AggregateClass): AggregateDefinition | undefined {
  return Object.getOwnPropertyDescriptor(aggregateClass, definitionKey)?.value;
}
