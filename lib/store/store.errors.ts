import { EventStoreError } from '../event-store.error.ts';
import { nameRule } from '../input/printable-name.ts';
import type { AggregateRef } from './aggregate-ref.ts';

const name = (aggregate: AggregateRef): string => `${aggregate.type}/${aggregate.id}`;

/** The aggregate's id or type cannot be stored exactly. */
export class InvalidAggregateRefError extends EventStoreError {
  readonly code = 'INVALID_AGGREGATE_REF';

  constructor(
    readonly field: 'id' | 'type',
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `An aggregate's ${field} ${reason}. It must be ${nameRule(field === 'id' ? 512 : 255)}.`,
      options,
    );
  }
}

/** The store was closed with its application. The call was not sent. */
export class StoreClosedError extends EventStoreError {
  readonly code = 'STORE_CLOSED';

  constructor() {
    super('The event store is closed because its application has shut down; nothing was written.');
  }
}

/** A snapshot has a version that the aggregate has not reached. It was not stored. */
export class SnapshotAheadError extends EventStoreError {
  readonly code = 'SNAPSHOT_AHEAD';

  constructor(
    readonly aggregate: AggregateRef,
    readonly snapshotVersion: number,
    readonly actualVersion: number,
  ) {
    super(
      `A snapshot of ${name(aggregate)} at version ${snapshotVersion} is ahead of its events, which ` +
        `end at ${actualVersion}; it was not kept. Take snapshots of saved aggregates only.`,
    );
  }
}

/** The store is not configured to remove events. */
export class RemovalRefusedError extends EventStoreError {
  readonly code = 'REMOVAL_REFUSED';

  constructor(readonly aggregate: AggregateRef) {
    super(
      `The events of ${name(aggregate)} were not removed: the store is append-only unless it is ` +
        'configured with allowRemoval: true.',
    );
  }
}

/** The stored events of an aggregate are not 1, 2, 3 …: something outside the store changed them. */
export class CorruptAggregateError extends EventStoreError {
  readonly code = 'CORRUPT_AGGREGATE';

  constructor(
    readonly aggregate: AggregateRef,
    readonly expectedEventVersion: number,
    readonly foundEventVersion: number | undefined,
    readonly position: number | undefined,
  ) {
    super(
      `${name(aggregate)} has no event at version ${expectedEventVersion}` +
        (foundEventVersion === undefined
          ? ', although its row in "aggregates" has reached it'
          : `: version ${foundEventVersion} follows at position ${position}`) +
        '. Look for it in the table "domain_events": if the row is not there, events were removed or changed ' +
        'outside the store; compare the aggregate with a backup, and restore what is missing.',
    );
  }
}

/** The given manager has no open transaction to append in. */
export class TransactionRequiredError extends EventStoreError {
  readonly code = 'TRANSACTION_REQUIRED';

  constructor() {
    super(
      'The EntityManager given as `manager` has no open transaction. Pass the one that ' +
        '`dataSource.transaction(manager => …)` hands over, or leave `manager` out.',
    );
  }
}

/** The transaction or savepoint of a call ended before the call was sent. */
export class TransactionOverError extends EventStoreError {
  readonly code = 'TRANSACTION_OVER';

  constructor() {
    super(
      'The transaction that this EntityManager belongs to is over, or the savepoint in which the call ' +
        'was made is rolled back; nothing was sent. Await every call before the transaction ends: in ' +
        'Promise.all, the first failure ends it for the others. In a handler that timed out, raise ' +
        'timeoutMs.',
    );
  }
}

/** A transaction that is repeated as a whole cannot be part of another one. */
export class NestedTransactionError extends EventStoreError {
  readonly code = 'NESTED_TRANSACTION';

  constructor() {
    super(
      'transaction() was called while an ambient transaction is open; nothing was sent. Let the ' +
        'outermost call begin the transaction, and call append, save or execute inside of it.',
    );
  }
}

/** The features that a store in memory lacks. */
export type DatabaseFeature = 'transactions' | 'consumers' | 'evidence';

const withoutDatabase: Readonly<Record<DatabaseFeature, string>> = {
  transactions:
    'has no transactions to join; nothing was read or written. Leave `manager` out, or test this code',
  consumers: 'runs no projections or durable handlers. Test them',
  evidence: 'has no hash chain. Verify a log',
};

/** The feature needs a database, and the store keeps its events in memory. */
export class UnsupportedFeatureError extends EventStoreError {
  readonly code = 'UNSUPPORTED_FEATURE';

  constructor(readonly feature: DatabaseFeature) {
    super(
      `This event store ${withoutDatabase[feature]} with EventStoreModule and a test database.`,
    );
  }
}

/** The log is not the one that was read before: an event that was read is missing. */
export class LogDivergedError extends EventStoreError {
  readonly code = 'LOG_DIVERGED';

  constructor(
    /** The position of the last event that was read. */
    readonly position: number,
  ) {
    super(
      `The log no longer holds the event that was read at position ${position}: the database was ` +
        'restored to an earlier time, or lost its last events in a failover. Nothing was skipped. ' +
        'Read the log again from a position that you have checked.',
    );
  }
}
