import { EventStoreError, type FailureOutcome } from '../../../event-store.error.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';

/**
 * There is no connection to the database, or it was lost before the database answered.
 *
 * `outcome` is `'not-applied'` if nothing can have been sent, and `'unknown'` otherwise, also if only
 * the first of two tries can have reached the database.
 */
export class ConnectionLostError extends EventStoreError {
  readonly code = 'CONNECTION_LOST';
  override readonly retryable = true;

  constructor(
    override readonly outcome: FailureOutcome,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      outcome === 'unknown'
        ? `The connection to the database was lost before it answered (${reason}). What was to be ` +
            'written may be stored or not: repeat it, an append with the same event ids, which is safe.'
        : `There is no connection to the database (${reason}); nothing was written. Try again, and ` +
            'look whether the server runs and can be reached.',
      options,
    );
  }
}

/** All connections are taken: those of the server, or those of this application's pool. */
export class TooManyConnectionsError extends EventStoreError {
  readonly code = 'TOO_MANY_CONNECTIONS';
  override readonly retryable = true;

  constructor(
    readonly limitedBy: 'server' | 'pool',
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `The ${limitedBy === 'server' ? 'database server' : "data source's pool"} had no connection ` +
        `free (${reason}); nothing was written. Try again later. If it continues, ` +
        (limitedBy === 'server'
          ? 'lower the pool sizes of the applications or raise max_connections.'
          : 'look for transactions that stay open, or raise poolSize.'),
      options,
    );
  }
}

/** The disk of the database server is full. */
export class DiskFullError extends EventStoreError {
  readonly code = 'DISK_FULL';
  override readonly retryable = true;

  constructor(reason: string, options: ErrorOptions) {
    super(
      `The disk of the database server is full (${reason}); nothing was written. Make room; appends ` +
        'succeed from then on, without a restart.',
      options,
    );
  }
}

/** The database server itself cannot go on, as when it has no memory left or cannot read a file. */
export class DatabaseServerError extends EventStoreError {
  readonly code = 'DATABASE_SERVER';
  override readonly retryable = true;

  constructor(
    readonly sqlState: string,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `The database server could not do its work (SQLSTATE ${sqlState}: ${reason}); nothing was written. Try ` +
        'again later, and look into the log of the server.',
      options,
    );
  }
}

/** The database is read-only: a standby, or a transaction or role that may not write. */
export class ReadOnlyDatabaseError extends EventStoreError {
  readonly code = 'READ_ONLY_DATABASE';
  override readonly retryable = true;

  constructor(reason: string, options: ErrorOptions) {
    super(
      `The database does not take writes (${reason}); nothing was written. It is a standby, or the ` +
        'transaction is read-only: connect to the primary, or look at default_transaction_read_only. ' +
        'After a failover, try again.',
      options,
    );
  }
}

/** The database cancelled a statement, or ended its transaction, because of a time limit or on request. */
export class StatementCancelledError extends EventStoreError {
  readonly code = 'STATEMENT_CANCELLED';
  override readonly retryable = true;

  constructor(
    readonly sqlState: string,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `The database cancelled a statement of the event store (SQLSTATE ${sqlState}: ${reason}); ` +
        'nothing was written. Try again; if it continues, raise the time limit that the reason names, ' +
        'or look for what holds the statement up.',
      options,
    );
  }
}

/** The database gave up one of two transactions that conflicted. */
export class TransactionConflictError extends EventStoreError {
  readonly code = 'TRANSACTION_CONFLICT';
  override readonly retryable = true;

  constructor(
    readonly sqlState: string,
    options: ErrorOptions,
  ) {
    super(
      `The database ended the transaction because another one was in its way (SQLSTATE ${sqlState}); ` +
        'nothing was written. Run the whole transaction again from its beginning.',
      options,
    );
  }
}

/** The database does not let the application's role in, or not do what the store needs. */
export class AccessDeniedError extends EventStoreError {
  readonly code = 'ACCESS_DENIED';

  constructor(
    readonly sqlState: string,
    /** The role that the application has logged in as, if it has come that far. */
    readonly role: string | undefined,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `The database refused ${role === undefined ? 'the application' : `the role "${role}"`} access ` +
        `(SQLSTATE ${sqlState}: ${reason}); nothing was written. ` +
        (sqlState === '42501'
          ? `Have the owner of the store's tables run what grantsSql({ application: '${role}' }) ` +
            'returns, with the schema if it is not the default; what is not of the store, grant yourself.'
          : "Correct the database, user and password in the data source's options."),
      options,
    );
  }
}

/** The tables and functions of the store are not there, or belong to another release. */
export class SchemaMismatchError extends EventStoreError {
  readonly code = 'SCHEMA_MISMATCH';

  constructor(
    readonly sqlState: string,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `The database does not have the schema that this release needs (SQLSTATE ${sqlState}: ${reason}); ` +
        "nothing was written. Set migrations: 'run', or run those of eventStoreMigrations(), and look " +
        'whether the option `schema` is the right one.',
      options,
    );
  }
}

// What a sequence draws is never there already.
const isDrawn = (constraint: string | undefined): boolean =>
  constraint === 'domain_events_pkey' || constraint === 'aggregates_pkey';

/** A constraint of the store's tables refused a row that the store itself took for good. */
export class ConstraintViolatedError extends EventStoreError {
  readonly code = 'CONSTRAINT_VIOLATED';

  constructor(
    readonly sqlState: string,
    readonly constraint: string | undefined,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      `A constraint of the store's tables was violated (SQLSTATE ${sqlState}: ${reason}); nothing was ` +
        'written. ' +
        (isDrawn(constraint)
          ? 'A sequence is behind the rows, as after a replication or a restore that carries none. Start ' +
            "an application with migrations: 'run' as the owner of the tables: it repairs the sequence."
          : 'Look for triggers, constraints or writers that do not belong to the store.'),
      options,
    );
  }
}

/**
 * The database committed, but its wait for the synchronous standby was cancelled.
 *
 * What was written, or removed, can be seen, and is lost if that standby is promoted without it.
 * Repeated with the same event ids, an append waits for the standby again: once that succeeds, nothing
 * is in doubt. Seen only where the store itself commits: a COMMIT of the caller succeeds with a
 * warning.
 */
export class DurabilityUncertainError extends EventStoreError {
  readonly code = 'DURABILITY_UNCERTAIN';
  override readonly outcome = 'unknown';

  constructor(readonly aggregates: readonly AggregateRef[]) {
    const names = aggregates.slice(0, 5).map(({ type, id }) => `${type}/${id}`);
    super(
      `The change of ${names.join(', ') || 'the transaction'}${aggregates.length > 5 ? ', …' : ''} is committed, but the ` +
        'wait for its synchronous standby was cancelled: a failover may lose it. Once the standby is ' +
        'back, repeat the append with the same event ids; when that succeeds, it is on both.',
    );
  }
}

/** The database refused a statement of the store for a reason that has no error of its own. */
export class StatementFailedError extends EventStoreError {
  readonly code = 'STATEMENT_FAILED';
  /** `'unknown'` if it was not the server that said so. */
  override readonly outcome: FailureOutcome;

  constructor(
    readonly sqlState: string | undefined,
    reason: string,
    options: ErrorOptions,
  ) {
    super(
      sqlState === undefined
        ? `A statement of the event store failed outside of the database: ${reason}. Whether anything ` +
            'was written is unknown.'
        : `The database refused a statement of the event store (SQLSTATE ${sqlState}): ${reason}. ` +
            'Nothing was written.',
      options,
    );
    this.outcome = sqlState === undefined ? 'unknown' : 'not-applied';
  }
}
