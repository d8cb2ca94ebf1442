import { errorOf } from '../../../input/thrown-error.ts';
import { EventStoreError } from '../../../event-store.error.ts';
import { messageWithoutValues } from '../../../input/message-without-values.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import {
  AccessDeniedError,
  ConnectionLostError,
  ConstraintViolatedError,
  DiskFullError,
  ReadOnlyDatabaseError,
  SchemaMismatchError,
  DatabaseServerError,
  StatementCancelledError,
  StatementFailedError,
  TooManyConnectionsError,
  TransactionConflictError,
} from './database.errors.ts';
import { AggregateLockedError, DuplicateEventError } from '../../../store/store.errors.ts';
import { type FailureKind, type DriverFacts, factsOf, failureKindOf } from './failure-kind.ts';

/** What the store was doing when the database refused: the facts that its errors name. */
export interface AppendFacts {
  readonly aggregates: readonly AggregateRef[];
  readonly events: readonly { readonly id: string }[];
  readonly lockTimeoutMs?: number | undefined;
  /** An earlier try was not answered, so this one's failure does not say that nothing is stored. */
  readonly mayBeStored?: boolean;
}

type Translation = (
  said: DriverFacts & { readonly sqlState: string; readonly reason: string },
  options: { readonly cause: Error },
  facts: AppendFacts,
) => EventStoreError;

/** The error for each kind of failure; it knows whether trying again helps, and what became of the write. */
const translations: Readonly<Record<FailureKind, Translation>> = {
  lost: ({ reason }, options) => new ConnectionLostError('unknown', reason, options),
  unreachable: ({ reason }, options) => new ConnectionLostError('not-applied', reason, options),
  'server-crowded': ({ reason }, options) => new TooManyConnectionsError('server', reason, options),
  'pool-crowded': ({ reason }, options) => new TooManyConnectionsError('pool', reason, options),
  conflict: ({ sqlState }, options) => new TransactionConflictError(sqlState, options),
  locked: ({ constraint }, options, facts) =>
    new AggregateLockedError(facts.aggregates, facts.lockTimeoutMs, options, constraint),
  cancelled: ({ sqlState, reason }, options) =>
    new StatementCancelledError(sqlState, reason, options),
  ended: ({ sqlState, reason }, options) => new StatementCancelledError(sqlState, reason, options),
  'disk-full': ({ reason }, options) => new DiskFullError(reason, options),
  server: ({ sqlState, reason }, options) => new DatabaseServerError(sqlState, reason, options),
  'read-only': ({ reason }, options) => new ReadOnlyDatabaseError(reason, options),
  denied: ({ sqlState, role, reason }, options) =>
    new AccessDeniedError(sqlState, role, reason, options),
  schema: ({ sqlState, reason }, options) => new SchemaMismatchError(sqlState, reason, options),
  duplicate: (_, options, { aggregates: [aggregate = { type: '', id: '' }], events }) =>
    new DuplicateEventError(
      aggregate,
      events.map((event) => event.id),
      // At the same moment: in the same aggregate, its lock would have kept them apart.
      { reason: 'other-aggregate', eventCount: events.length },
      options,
    ),
  constraint: ({ sqlState, constraint, reason }, options) =>
    new ConstraintViolatedError(sqlState, constraint, reason, options),
  pooler: ({ sqlState, reason }, options) =>
    new StatementFailedError(
      sqlState,
      `${reason}. With a pooler that gives no session to its clients, set preparedStatements: false`,
      options,
    ),
  refused: ({ sqlState, reason }, options) =>
    new StatementFailedError(sqlState || undefined, reason, options),
};

/** Returns whether the connection is gone, or could not be made. */
export function isConnectionLoss(error: unknown): boolean {
  return is(error, 'lost', 'unreachable');
}

/** Returns whether the database may have done what it was asked, without an answer. */
export function isOutcomeUnknown(error: unknown): boolean {
  return is(error, 'lost');
}

/** Returns whether the connection must not be used again: it is gone, or leads to the wrong server. */
export function isConnectionSpoilt(error: unknown): boolean {
  return is(error, 'lost', 'unreachable', 'ended', 'read-only');
}

/** Returns whether running into this again is a matter of timing and not of the data. */
export function isLockTimeout(error: unknown): boolean {
  return is(error, 'locked');
}

/**
 * Returns whether a statement gave up on a lock that is worth another try. One that is named is an advisory
 * lock of the store's own, which nothing of the store ever holds against an append.
 */
export function isHeld(error: unknown): boolean {
  return isLockTimeout(error) && factsOf(error).constraint === undefined;
}

/** Returns whether two transactions conflicted, so that one of them was rolled back. */
export function isTransactionConflict(error: unknown): boolean {
  return is(error, 'conflict');
}

/**
 * Returns whether a statement outside of a transaction failed because it did not run at READ COMMITTED.
 *
 * The functions that read the log refuse other levels, and only those levels know serialization
 * failures. Either way, nothing was done.
 */
export function isWrongIsolation(error: unknown): boolean {
  return ['25001', '40001'].includes(factsOf(error).code ?? '');
}

/** Returns whether any other statement would fail in the same way just now, whatever it writes. */
export function failsEveryStatement(error: unknown): boolean {
  return is(
    error,
    ...(['lost', 'unreachable', 'server-crowded', 'pool-crowded'] as const),
    ...(['disk-full', 'read-only', 'denied', 'schema'] as const),
  );
}

/** Returns whether the database gave something up because it took too long, so less may succeed. */
export function isTimeLimit(error: unknown): boolean {
  return is(error, 'cancelled', 'ended');
}

/** Returns whether the database ended a transaction, and its connection, because it took too long. */
export function isTransactionTimeout(error: unknown): boolean {
  return is(error, 'ended');
}

/** Returns whether the same may succeed later, by the error that it would be translated to. */
export function isTransient(error: unknown): boolean {
  return translate(error, nothingToName).retryable;
}

/** Turns whatever a statement of the store failed with into an error of ours, its cause kept. */
export function translateError(
  error: unknown,
  facts: AppendFacts = nothingToName,
): EventStoreError {
  if (error instanceof EventStoreError) return error;
  const failure = translate(error, facts);
  if (!facts.mayBeStored || failure.outcome === 'unknown') return failure;
  const reason = `and the second try failed: ${reasonOf(error)}`;
  return new ConnectionLostError('unknown', reason, { cause: failure.cause });
}

/** The same for what only reads: nothing was to be written, so nothing is unknown. */
export function translateReadError(error: unknown): EventStoreError {
  if (!isOutcomeUnknown(error)) return translateError(error);
  return new ConnectionLostError('not-applied', reasonOf(error), { cause: error });
}

/** Settles like the work, and fails with what becomes of its error. */
export async function translated<T>(
  work: Promise<T>,
  toError: (error: unknown) => Error = translateError,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toError(error);
  }
}

function translate(error: unknown, facts: AppendFacts): EventStoreError {
  const cause = errorOf(error);
  const said = factsOf(cause);
  const sqlState = isSqlState(said.code) ? said.code : '';
  return translations[failureKindOf(error)](
    { ...said, sqlState, reason: reasonOf(error) },
    { cause },
    facts,
  );
}

const is = (error: unknown, ...kinds: FailureKind[]): boolean =>
  kinds.includes(failureKindOf(error));

// A code of the system is a word, like EPIPE; a SQLSTATE has at least one digit.
const isSqlState = (code = ''): code is string => /^(?=.*\d)[0-9A-Z]{5}$/.test(code);

/** What the database said, as part of a sentence. An AggregateError of Node says nothing. */
function reasonOf(error: unknown): string {
  const facts = factsOf(error);
  return messageWithoutValues(facts).replace(/\.$/, '') || facts.code || String(errorOf(error));
}

const nothingToName: AppendFacts = { aggregates: [], events: [] };
