import { EventStoreError } from '../event-store.error.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';

const name = ({ type, id }: AggregateRef): string => `${type}/${id}`;

/** No aggregate has this id. */
export class AggregateNotFoundError extends EventStoreError {
  readonly code = 'AGGREGATE_NOT_FOUND';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `There is no ${aggregate.type} with the id ${aggregate.id}. Create it with \`new\` and save it, ` +
        'or use `find`, which answers null.',
    );
  }
}

/** A class is used as an aggregate but has no `@Aggregate` of its own. */
export class UnknownAggregateError extends EventStoreError {
  readonly code = 'UNKNOWN_AGGREGATE';

  constructor(readonly className: string) {
    super(
      `The class ${className} has no @Aggregate of its own. Name it with @Aggregate('…') and add it ` +
        `to EventStoreModule.forFeature({ aggregates: [${className}] }).`,
    );
  }
}

/**
 * The aggregate is already being saved; two saves of one instance at once would write its events twice.
 */
export class AggregateInUseError extends EventStoreError {
  readonly code = 'AGGREGATE_IN_USE';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `This instance of ${name(aggregate)} is being saved already. Await the first ` +
        'save, or load an instance for every request.',
    );
  }
}

/** `autoCommit` publishes an aggregate's events at once and leaves none to save. */
export class AutoCommitUnsupportedError extends EventStoreError {
  readonly code = 'AUTO_COMMIT_UNSUPPORTED';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `${name(aggregate)} has autoCommit switched on, so its events are published at ` +
        'once and lost to the store. Leave autoCommit off; save() stores and then publishes.',
    );
  }
}

/** `commit()` was called on an aggregate whose events are not stored yet. Nothing was published. */
export class CommitBeforeSaveError extends EventStoreError {
  readonly code = 'COMMIT_BEFORE_SAVE';

  constructor(
    readonly aggregate: AggregateRef,
    readonly eventCount: number,
  ) {
    super(
      `commit() was called on ${name(aggregate)}, which has ${eventCount} uncommitted ` +
        `event${eventCount === 1 ? '' : 's'} that ${eventCount === 1 ? 'is' : 'are'} not stored; ` +
        'nothing was published. Leave commit() out: save() and execute() of its repository store the ' +
        'events and then publish them.',
    );
  }
}

/** Events that changed the aggregate are not among its uncommitted events. Nothing was written. */
export class LostEventsError extends EventStoreError {
  readonly code = 'LOST_EVENTS';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `${name(aggregate)} has applied events that uncommit() discarded or autoCommit ` +
        'published, so its state is not what its events say; nothing was written. Load it again, and ' +
        'apply only events that are to be stored.',
    );
  }
}

/** `execute` was called inside the work of another `execute` of the same aggregate. It was not run. */
export class NestedExecuteError extends EventStoreError {
  readonly code = 'NESTED_EXECUTE';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `execute() of ${name(aggregate)} was called inside the work of another execute() of ` +
        'it; the inner work was not run, because every event of it would be a conflict for the outer ' +
        'one. Do all of it in one work, or call the second execute() when the first has ended.',
    );
  }
}
