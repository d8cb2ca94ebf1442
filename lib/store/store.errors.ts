import { EventStoreError } from '../event-store.error.ts';
import { nameRule } from '../events/printable-name.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { ExpectedVersion } from './expected-version.ts';

const name = (aggregate: AggregateRef): string => `${aggregate.type}/${aggregate.id}`;

/** The aggregate is not at the version that the append expected. Nothing was written. */
export class WrongExpectedVersionError extends EventStoreError {
  readonly code = 'WRONG_EXPECTED_VERSION';

  constructor(
    readonly aggregate: AggregateRef,
    readonly expectedVersion: ExpectedVersion,
    readonly actualVersion: number,
  ) {
    super(
      `${name(aggregate)} was expected at version ${expectedVersion} but is at ${actualVersion}; ` +
        'nothing was written. Load it again and decide anew.',
    );
  }
}

/** An event's id stands in the log already, and not as a repetition of this very append. */
export class DuplicateEventError extends EventStoreError {
  readonly code = 'DUPLICATE_EVENT';

  constructor(
    readonly aggregate: AggregateRef,
    readonly eventIds: readonly string[],
    options?: ErrorOptions,
  ) {
    super(
      `An event of the append to ${name(aggregate)} is stored already, at another place, with ` +
        `other content, or without the rest of the append; nothing was written. Event ids: ` +
        `${eventIds.slice(0, 5).join(', ')}${eventIds.length > 5 ? ', …' : ''}. ` +
        'Use a new id for every new event, and repeat an append only as a whole.',
      options,
    );
  }
}

/** The aggregate's id or type is not one that can be stored exactly. */
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

/** One call of `append` or `appendAll` has more events than the store was configured to take at once. */
export class AppendTooLargeError extends EventStoreError {
  readonly code = 'APPEND_TOO_LARGE';

  constructor(
    readonly eventCount: number,
    readonly maxAppendEvents: number,
  ) {
    super(
      `A call with ${eventCount} events is over maxAppendEvents (${maxAppendEvents}); nothing was ` +
        'written. Append in several steps, each with the version that the one before returned.',
    );
  }
}

/** Too many appends of this process are waiting, or too large ones. This one was not sent. */
export class StoreOverloadedError extends EventStoreError {
  readonly code = 'STORE_OVERLOADED';
  override readonly retryable = true;

  /**
   * @param limitedBy which bound is reached: that of the number of waiting calls, or that of their size.
   */
  constructor(
    readonly limitedBy: 'maxQueuedAppends' | 'maxQueuedBytes',
    readonly maxQueuedAppends: number,
    readonly maxQueuedBytes: number,
  ) {
    super(
      (limitedBy === 'maxQueuedAppends'
        ? `${maxQueuedAppends} appends are waiting already (maxQueuedAppends)`
        : `With this append, more than ${maxQueuedBytes} bytes of events would be waiting`) +
        '; this one was not sent. Slow down or try again later.',
    );
  }
}

/** The store was closed with its application. The append was not sent. */
export class StoreClosedError extends EventStoreError {
  readonly code = 'STORE_CLOSED';

  constructor() {
    super('The event store is closed because its application has shut down; nothing was written.');
  }
}

/** Another transaction held the aggregate, or a lock of the store, for too long. Nothing was written. */
export class AggregateLockedError extends EventStoreError {
  readonly code = 'AGGREGATE_LOCKED';
  override readonly retryable = true;

  constructor(
    readonly aggregates: readonly AggregateRef[],
    readonly waitedMs: number | undefined,
    options?: ErrorOptions,
    /** A lock that no append takes, by its name, if that is what another session held. */
    foreignLock?: string,
  ) {
    const wait = waitedMs === undefined ? '' : ` for more than ${waitedMs} ms (lockTimeoutMs)`;
    super(
      foreignLock === undefined
        ? `Another transaction held ${aggregates.map(name).join(', ') || 'what the statement needs'}` +
            `${wait}; nothing was written. Try again, and look for a transaction that appends and ` +
            'then stays open.'
        : `Another session holds ${foreignLock}, as the store never does; nothing was written. Look ` +
            'in pg_locks for the session, and try again once it is gone.',
      options,
    );
  }
}

/** A snapshot claims a version that the aggregate has not reached. It was not kept. */
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

/** Removing events was not allowed when the store was configured. */
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
          ? ', though the aggregate is said to have reached it'
          : `: version ${foundEventVersion} follows at position ${position}`) +
        '. Look for it in the table "domain_events": if the row is not there, events were removed or changed ' +
        'outside the store; compare the aggregate with a backup, and restore what is missing.',
    );
  }
}

/** The given manager has no transaction open, so there is nothing to append inside of. */
export class TransactionRequiredError extends EventStoreError {
  readonly code = 'TRANSACTION_REQUIRED';

  constructor() {
    super(
      'The EntityManager given as `manager` has no open transaction. Pass the one that ' +
        '`dataSource.transaction(manager => …)` hands over, or leave `manager` out.',
    );
  }
}

/** The transaction, or the savepoint, that a call belonged to ended before the call was sent. */
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

/** A transaction that is run again as a whole cannot be a part of another one. */
export class NestedTransactionError extends EventStoreError {
  readonly code = 'NESTED_TRANSACTION';

  constructor() {
    super(
      'transaction() was called while an ambient transaction is open; nothing was sent. Let the ' +
        'outermost call begin the transaction, and call append, save or execute inside of it.',
    );
  }
}

/** The store keeps its events in memory, where nothing can join a database transaction. */
export class TransactionsUnsupportedError extends EventStoreError {
  readonly code = 'TRANSACTIONS_UNSUPPORTED';

  constructor() {
    super(
      'The in-memory event store has no transactions to join; nothing was read or written. ' +
        'Leave `manager` out, or test this code with PostgresEventStore and a test database.',
    );
  }
}
