import { EventStoreError } from '../event-store.error.ts';
import { nameRule } from '../input/printable-name.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { ExpectedVersion } from './appending/expected-version.ts';

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
        'nothing was written. Load it again and decide again.',
    );
  }
}

/**
 * Why an append is refused that has the id of an event which is stored already:
 *
 * - `partly-stored`: its first events are stored already, at versions `storedFrom` to `storedTo`, and the
 *   others are new. So it is when a list that has grown is appended again, or one that was cut otherwise.
 * - `other-content`: an event of the same id is of another type or has other content.
 * - `other-version`: all its events are stored, at a place that `expectedVersion` does not allow.
 * - `other-order`: its events are stored in another order, or with others in between or before them.
 * - `other-aggregate`: an event is stored in another aggregate, `storedIn`.
 * - `beside-new-appends`: it is a repetition, and other appends of the same `appendAll` are not.
 * - `repeated-id`: two events of the call have the same id.
 */
export type DuplicateReason =
  | 'partly-stored'
  | 'other-content'
  | 'other-version'
  | 'other-order'
  | 'other-aggregate'
  | 'beside-new-appends'
  | 'repeated-id';

export interface DuplicateFacts {
  readonly reason: DuplicateReason;
  /** How many events the append has. */
  readonly eventCount: number;
  /** The aggregate in which the events are stored; undefined if it is not known. */
  readonly storedIn?: AggregateRef | undefined;
  /** How many of the append's first events are stored in its aggregate, one after another. */
  readonly storedCount?: number;
  /** The version of the first of them. */
  readonly storedFrom?: number | undefined;
  /** The version of the last of them. */
  readonly storedTo?: number | undefined;
  /** Whether they have been removed since then. */
  readonly isRemoved?: boolean;
}

/** An event's id is used already, and not by this very append. Nothing was written. */
export class DuplicateEventError extends EventStoreError {
  readonly code = 'DUPLICATE_EVENT';
  readonly reason: DuplicateReason;
  readonly eventCount: number;
  readonly storedIn: AggregateRef | undefined;
  readonly storedCount: number;
  readonly storedFrom: number | undefined;
  readonly storedTo: number | undefined;
  readonly isRemoved: boolean;

  /** @param eventIds the ids that are used already. */
  constructor(
    readonly aggregate: AggregateRef,
    readonly eventIds: readonly string[],
    facts: DuplicateFacts,
    options?: ErrorOptions,
  ) {
    const ids = `${eventIds.slice(0, 5).join(', ')}${eventIds.length > 5 ? ', …' : ''}`;
    super(
      `The append to ${name(aggregate)} is refused, nothing was written: ` +
        `${duplicateSentences[facts.reason](facts)} Event ids: ${ids}.`,
      options,
    );
    this.reason = facts.reason;
    this.eventCount = facts.eventCount;
    this.storedIn = facts.storedIn;
    this.storedCount = facts.storedCount ?? 0;
    this.storedFrom = facts.storedFrom;
    this.storedTo = facts.storedTo;
    this.isRemoved = facts.isRemoved ?? false;
  }
}

const storedAt = ({ storedFrom, storedTo, isRemoved }: DuplicateFacts): string =>
  (storedFrom === storedTo
    ? `at version ${storedTo}`
    : `at versions ${storedFrom} to ${storedTo}`) + (isRemoved ? ', and removed since then' : '');

const duplicateSentences: Readonly<Record<DuplicateReason, (facts: DuplicateFacts) => string>> = {
  'partly-stored': (facts) =>
    `the first ${facts.storedCount} of its ${facts.eventCount} events were stored before, ` +
    `${storedAt(facts)}. Append only the events after them.`,
  'other-content': (facts) =>
    `events of these ids were stored before, ${storedAt(facts)}, with another type or other content. ` +
    'Use a new id for every new event.',
  'other-version': (facts) =>
    `its events were stored before, ${storedAt(facts)}, where its expectedVersion does not allow them. ` +
    'Repeat an append with the expectation of the first time.',
  'other-order': ({ isRemoved }) =>
    `some of its events were stored before${isRemoved ? ' and removed since then' : ''}, in another ` +
    'order or with other events before or between them. Repeat an append only as a whole.',
  'other-aggregate': ({ storedIn }) =>
    `an event of it was stored before in ${storedIn ? name(storedIn) : 'another aggregate'}. ` +
    'Use a new id for every new event.',
  'beside-new-appends': (facts) =>
    `its events were stored before, ${storedAt(facts)}, without the other appends of the call. ` +
    'Repeat a call of appendAll only as a whole.',
  'repeated-id': () => 'two events of the call have the same id. Use a new id for every new event.',
};

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

/** What a store in memory does not have. */
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
      `The in-memory event store ${withoutDatabase[feature]} with EventStoreModule and a test database.`,
    );
  }
}

/** The log is not the one that was read before: an event that was read is no longer in it. */
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
