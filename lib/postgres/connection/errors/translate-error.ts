import { errorOf } from '../../../input/thrown-error.ts';
import { EventStoreError } from '../../../event-store.error.ts';
import { messageWithoutValues } from '../../../input/message-without-values.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import {
  AccessDeniedError,
  ConnectionLostError,
  ConstraintViolatedError,
  type DatabaseFailure,
  DatabaseServerError,
  DiskFullError,
  ReadOnlyDatabaseError,
  SchemaMismatchError,
  StatementCancelledError,
  StatementFailedError,
  TooManyConnectionsError,
  TransactionConflictError,
} from './database.errors.ts';
import {
  AggregateLockedError,
  DuplicateEventError,
} from '../../../store/appending/append.errors.ts';
import { type FailureKind, factsOf, failureKindOf } from './failure-kind.ts';

/** The facts about the failed call that the store's errors name. */
export interface AppendFacts {
  readonly aggregates: readonly AggregateRef[];
  readonly events: readonly { readonly id: string }[];
  readonly lockTimeoutMs?: number | undefined;
  /**
   * Whether an earlier attempt got no answer, so that a failure now does not prove that nothing is
   * stored.
   */
  readonly mayBeStored?: boolean;
}

interface TranslatedFailure extends DatabaseFailure {
  /** The constraint that was violated. */
  readonly constraint?: string | undefined;
  /** The role whose right was refused. */
  readonly role?: string | undefined;
}

type Translation = (
  failure: TranslatedFailure,
  options: { readonly cause: Error },
  facts: AppendFacts,
) => EventStoreError;

/** Makes the error for each kind of failure, with its `retryable` and its `outcome`. */
const translations: Readonly<Record<FailureKind, Translation>> = {
  lost: (failure, options) => new ConnectionLostError('unknown', failure, options),
  unreachable: (failure, options) => new ConnectionLostError('not-applied', failure, options),
  'server-crowded': (failure, options) => new TooManyConnectionsError('server', failure, options),
  'pool-crowded': (failure, options) => new TooManyConnectionsError('pool', failure, options),
  conflict: (failure, options) => new TransactionConflictError(failure, options),
  locked: ({ constraint }, options, facts) =>
    new AggregateLockedError(facts.aggregates, facts.lockTimeoutMs, options, constraint),
  cancelled: (failure, options) => new StatementCancelledError(failure, options),
  ended: (failure, options) => new StatementCancelledError(failure, options),
  'disk-full': (failure, options) => new DiskFullError(failure, options),
  server: (failure, options) => new DatabaseServerError(failure, options),
  'read-only': (failure, options) => new ReadOnlyDatabaseError(failure, options),
  denied: (failure, options) => new AccessDeniedError(failure.role, failure, options),
  schema: (failure, options) => new SchemaMismatchError(failure, options),
  duplicate: (_, options, { aggregates: [aggregate = { type: '', id: '' }], events }) =>
    new DuplicateEventError(
      aggregate,
      events.map((event) => event.id),
      // Both at the same moment: within one aggregate, its lock would have kept them apart.
      { reason: 'other-aggregate', eventCount: events.length },
      options,
    ),
  constraint: (failure, options) =>
    new ConstraintViolatedError(failure.constraint, failure, options),
  pooler: ({ sqlState, reason }, options) =>
    new StatementFailedError(
      {
        sqlState,
        reason:
          `${reason}. With a pooler that gives no session to its clients, set pooler: 'transaction' and ` +
          'leave preparedStatements out',
      },
      options,
    ),
  refused: (failure, options) => new StatementFailedError(failure, options),
};

/** Returns whether the connection is gone, or could not be made. */
export function isConnectionLoss(error: unknown): boolean {
  return is(error, 'lost', 'unreachable');
}

/** Returns whether the database may have carried out the request although no answer came. */
export function isOutcomeUnknown(error: unknown): boolean {
  return is(error, 'lost');
}

/** Returns whether the connection must not be used again: it is gone, or leads to the wrong server. */
export function isConnectionSpoilt(error: unknown): boolean {
  return is(error, 'lost', 'unreachable', 'ended', 'read-only');
}

/** Returns whether the statement waited too long for a lock, so that a later attempt may succeed. */
export function isLockTimeout(error: unknown): boolean {
  return is(error, 'locked');
}

/**
 * Returns whether a statement gave up on a lock that is worth another attempt. An error that names a
 * constraint is about an advisory lock, which nothing of the store ever holds against an append.
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
 * The functions that read the log refuse other levels, and serialization failures occur only at those
 * levels. In both cases nothing was done.
 */
export function isWrongIsolation(error: unknown): boolean {
  return ['25001', '40001'].includes(factsOf(error).code ?? '');
}

/** Returns whether every other statement would fail in the same way now, whatever it writes. */
export function failsEveryStatement(error: unknown): boolean {
  return is(
    error,
    ...(['lost', 'unreachable', 'server-crowded', 'pool-crowded'] as const),
    ...(['disk-full', 'read-only', 'denied', 'schema'] as const),
  );
}

/**
 * Returns whether the database gave up because of a time limit, so that a smaller request may succeed.
 */
export function isTimeLimit(error: unknown): boolean {
  return is(error, 'cancelled', 'ended');
}

/** Returns whether the database ended a transaction, and its connection, because it took too long. */
export function isTransactionTimeout(error: unknown): boolean {
  return is(error, 'ended');
}

/**
 * Returns whether the same call may succeed later, according to the error that it would be translated
 * to.
 */
export function isTransient(error: unknown): boolean {
  return translate(error, nothingToName).retryable;
}

/** Translates any failure of a statement of the store into an error of this library, with its cause. */
export function translateError(
  error: unknown,
  facts: AppendFacts = nothingToName,
): EventStoreError {
  if (error instanceof EventStoreError) return error;
  const failure = translate(error, facts);
  if (!facts.mayBeStored || failure.outcome === 'unknown') return failure;
  const reason = `and the second try failed: ${reasonOf(error)}`;
  const { sqlState } = failureOf(error);
  return new ConnectionLostError('unknown', { sqlState, reason }, { cause: failure.cause });
}

/**
 * Like `translateError`, for statements that only read: they write nothing, so no outcome is unknown.
 */
export function translateReadError(error: unknown): EventStoreError {
  if (!isOutcomeUnknown(error)) return translateError(error);
  return new ConnectionLostError('not-applied', failureOf(error), { cause: error });
}

/** Settles as the work does, with its error translated. */
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
  return translations[failureKindOf(error)](failureOf(error), { cause: errorOf(error) }, facts);
}

function failureOf(error: unknown): TranslatedFailure {
  const { code, constraint, role } = factsOf(error);
  const sqlState = isSqlState(code) ? code : undefined;
  return { sqlState, constraint, role, reason: reasonOf(error) };
}

const is = (error: unknown, ...kinds: FailureKind[]): boolean =>
  kinds.includes(failureKindOf(error));

// A system error code is a word, such as EPIPE; a SQLSTATE has at least one digit.
const isSqlState = (code = ''): code is string => /^(?=.*\d)[0-9A-Z]{5}$/.test(code);

/**
 * Returns what the database reported, as part of a sentence. An AggregateError of Node has no message.
 */
function reasonOf(error: unknown): string {
  const facts = factsOf(error);
  return messageWithoutValues(facts).replace(/\.$/, '') || facts.code || String(errorOf(error));
}

const nothingToName: AppendFacts = { aggregates: [], events: [] };
