import { EventStoreError, type FailureOutcome } from '../../../event-store.error.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';

/** What the database or the driver reported. */
export interface DatabaseFailure {
  readonly sqlState?: string | undefined;
  /** The reason, worded to fit into a sentence. */
  readonly reason: string;
}

/** The base of all errors that come from the database, its server, or the connection to it. */
export abstract class DatabaseError extends EventStoreError {
  /** The SQLSTATE that the server gave; `undefined` if the failure did not come from the server. */
  readonly sqlState: string | undefined;

  constructor(message: string, { sqlState }: DatabaseFailure, options?: ErrorOptions) {
    super(message, options);
    this.sqlState = sqlState;
  }
}

/**
 * There is no connection to the database, or it was lost before the database answered.
 *
 * `outcome` is `'not-applied'` if nothing can have been sent. It is `'unknown'` otherwise, even if only
 * the first of two attempts can have reached the database.
 */
export class ConnectionLostError extends DatabaseError {
  readonly code = 'CONNECTION_LOST';
  override readonly retryable = true;

  constructor(
    override readonly outcome: FailureOutcome,
    failure: DatabaseFailure,
    options?: ErrorOptions,
  ) {
    const { reason } = failure;
    super(
      outcome === 'unknown'
        ? `The connection to the database was lost before it answered (${reason}). It is unknown ` +
            'whether anything was written. Repeat it; an append with the same event ids is safe.'
        : `There is no connection to the database (${reason}); nothing was written. Try again, and ` +
            'look whether the server runs and can be reached.',
      failure,
      options,
    );
  }
}

/** All connections are taken: those of the server, or those of this application's pool. */
export class TooManyConnectionsError extends DatabaseError {
  readonly code = 'TOO_MANY_CONNECTIONS';
  override readonly retryable = true;

  constructor(
    readonly limitedBy: 'server' | 'pool',
    failure: DatabaseFailure,
    options?: ErrorOptions,
  ) {
    super(
      `The ${limitedBy === 'server' ? 'database server' : "data source's pool"} had no connection ` +
        `free (${failure.reason}); nothing was written. Try again later. If it continues, ` +
        (limitedBy === 'server'
          ? 'lower the pool sizes of the applications or raise max_connections.'
          : 'look for transactions that stay open, or raise poolSize.'),
      failure,
      options,
    );
  }
}

/** The disk of the database server is full. */
export class DiskFullError extends DatabaseError {
  readonly code = 'DISK_FULL';
  override readonly retryable = true;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      `The disk of the database server is full (${failure.reason}); nothing was written. Make room; ` +
        'appends succeed from then on, without a restart.',
      failure,
      options,
    );
  }
}

/**
 * The database server itself cannot continue, for example because it is out of memory or cannot read a
 * file.
 */
export class DatabaseServerError extends DatabaseError {
  readonly code = 'DATABASE_SERVER';
  override readonly retryable = true;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      `The database server could not do its work (${quote(failure)}); nothing was written. Try again ` +
        'later, and look into the log of the server.',
      failure,
      options,
    );
  }
}

/** The database is read-only: a standby, or a transaction or role that may not write. */
export class ReadOnlyDatabaseError extends DatabaseError {
  readonly code = 'READ_ONLY_DATABASE';
  override readonly retryable = true;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      `The database does not take writes (${failure.reason}); nothing was written. It is a standby, or ` +
        'the transaction is read-only: connect to the primary, or look at ' +
        'default_transaction_read_only. After a failover, try again.',
      failure,
      options,
    );
  }
}

/** The database cancelled a statement, or ended its transaction, because of a time limit or on request. */
export class StatementCancelledError extends DatabaseError {
  readonly code = 'STATEMENT_CANCELLED';
  override readonly retryable = true;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      `The database cancelled a statement of the event store (${quote(failure)}); nothing was ` +
        'written. Try again; if it continues, raise the time limit that the reason names, or look for ' +
        'what holds the statement up.',
      failure,
      options,
    );
  }
}

/** The database gave up one of two transactions that conflicted. */
export class TransactionConflictError extends DatabaseError {
  readonly code = 'TRANSACTION_CONFLICT';
  override readonly retryable = true;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      'The database ended the transaction because another one was in its way (SQLSTATE ' +
        `${failure.sqlState}); nothing was written. Run the whole transaction again from its beginning.`,
      failure,
      options,
    );
  }
}

/** The database refuses the application's role, or does not let it do what the store needs. */
export class AccessDeniedError extends DatabaseError {
  readonly code = 'ACCESS_DENIED';

  constructor(
    /** The role of the application's login; `undefined` if the login itself failed. */
    readonly role: string | undefined,
    failure: DatabaseFailure,
    options?: ErrorOptions,
  ) {
    super(
      `The database refused ${role === undefined ? 'the application' : `the role "${role}"`} access ` +
        `(${quote(failure)}); nothing was written. ` +
        (failure.sqlState === '42501'
          ? `Have the owner of the store's tables run what grantsSql({ application: '${role}' }) ` +
            'returns, with the schema if it is not the default; what is not of the store, grant yourself.'
          : "Correct the database, user and password in the data source's options."),
      failure,
      options,
    );
  }
}

/** The tables and functions of the store are missing, or belong to another release. */
export class SchemaMismatchError extends DatabaseError {
  readonly code = 'SCHEMA_MISMATCH';

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    super(
      `The database does not have the schema that this release needs (${quote(failure)}); nothing was ` +
        "written. Set migrations: 'run', or run those of eventStoreMigrations(), and look whether the " +
        'option `schema` is the right one.',
      failure,
      options,
    );
  }
}

// The store draws these keys from sequences, so a duplicate means that a sequence is behind.
const isDrawn = (constraint: string | undefined): boolean =>
  constraint === 'domain_events_pkey' || constraint === 'aggregates_pkey';

/** A constraint of the store's tables refused a row that the store itself considered valid. */
export class ConstraintViolatedError extends DatabaseError {
  readonly code = 'CONSTRAINT_VIOLATED';

  constructor(
    readonly constraint: string | undefined,
    failure: DatabaseFailure,
    options?: ErrorOptions,
  ) {
    super(
      `A constraint of the store's tables was violated (${quote(failure)}); nothing was written. ` +
        (isDrawn(constraint)
          ? 'A sequence is behind the rows, as after a replication or a restore that carries none. Start ' +
            "an application with migrations: 'run' as the owner of the tables: it repairs the sequence."
          : 'Look for triggers, constraints or writers that do not belong to the store.'),
      failure,
      options,
    );
  }
}

/**
 * The database committed, but its wait for the synchronous standby was cancelled.
 *
 * The change is visible, but is lost if that standby is promoted without it. An append that is repeated
 * with the same event ids waits for the standby again: once it succeeds, nothing is in doubt. This
 * error occurs only where the store itself commits: a COMMIT of the caller succeeds with a warning.
 */
export class DurabilityUncertainError extends DatabaseError {
  readonly code = 'DURABILITY_UNCERTAIN';
  override readonly outcome = 'unknown';

  constructor(readonly aggregates: readonly AggregateRef[]) {
    const names = aggregates.slice(0, 5).map(({ type, id }) => `${type}/${id}`);
    const reason = 'the wait for its synchronous standby was cancelled';
    super(
      `The change of ${names.join(', ') || 'the transaction'}${aggregates.length > 5 ? ', …' : ''} is ` +
        `committed, but ${reason}: a failover may lose it. Once the standby is back, repeat the append ` +
        'with the same event ids; when that succeeds, it is on both.',
      { reason },
    );
  }
}

/** The database refused a statement of the store for a reason without an error class of its own. */
export class StatementFailedError extends DatabaseError {
  readonly code = 'STATEMENT_FAILED';
  /** `'unknown'` if the failure did not come from the server. */
  override readonly outcome: FailureOutcome;

  constructor(failure: DatabaseFailure, options?: ErrorOptions) {
    const { sqlState, reason } = failure;
    super(
      sqlState === undefined
        ? `A statement of the event store failed outside of the database: ${reason}. Whether anything ` +
            'was written is unknown.'
        : `The database refused a statement of the event store (SQLSTATE ${sqlState}): ${reason}. ` +
            'Nothing was written.',
      failure,
      options,
    );
    this.outcome = sqlState === undefined ? 'unknown' : 'not-applied';
  }
}

const quote = ({ sqlState, reason }: DatabaseFailure): string => `SQLSTATE ${sqlState}: ${reason}`;
