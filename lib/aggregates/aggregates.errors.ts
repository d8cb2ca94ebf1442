import { EventStoreError } from '../event-store.error.ts';

/** There is no aggregate of that id. */
export class AggregateNotFoundError extends EventStoreError {
  readonly code = 'AGGREGATE_NOT_FOUND';

  constructor(
    readonly aggregateType: string,
    readonly aggregateId: string,
  ) {
    super(
      `There is no ${aggregateType} with the id ${aggregateId}. Create it with \`new\` and save it, ` +
        'or use `find`, which answers null.',
    );
  }
}

/** A class is used as an aggregate without being one. */
export class UnknownAggregateError extends EventStoreError {
  readonly code = 'UNKNOWN_AGGREGATE';

  constructor(readonly className: string) {
    super(
      `The class ${className} has no @Aggregate of its own. Name it with @Aggregate('…') and add it ` +
        `to EventStoreModule.forFeature({ aggregates: [${className}] }).`,
    );
  }
}

/** The aggregate is being saved already; two saves of one instance at once would write its events twice. */
export class AggregateInUseError extends EventStoreError {
  readonly code = 'AGGREGATE_IN_USE';

  constructor(
    readonly aggregateType: string,
    readonly aggregateId: string,
  ) {
    super(
      `This instance of ${aggregateType}/${aggregateId} is being saved already. Await the first ` +
        'save, or load an instance for every request.',
    );
  }
}

/** An aggregate that publishes its events at once keeps none to save. */
export class AutoCommitUnsupportedError extends EventStoreError {
  readonly code = 'AUTO_COMMIT_UNSUPPORTED';

  constructor(
    readonly aggregateType: string,
    readonly aggregateId: string,
  ) {
    super(
      `${aggregateType}/${aggregateId} has autoCommit switched on, so its events are published at ` +
        'once and lost to the store. Leave autoCommit off; save() stores and then publishes.',
    );
  }
}
