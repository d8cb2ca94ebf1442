import type { SerializedEvent } from '../events/event-serializer.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import {
  AggregateLockedError,
  ConnectionLostError,
  DuplicateEventError,
  StatementFailedError,
  TransactionConflictError,
} from '../store/store.errors.ts';
import { EventStoreError } from '../event-store.error.ts';

/** What the store was doing when the database refused: the facts that its errors name. */
export interface AppendFacts {
  readonly aggregates: readonly AggregateRef[];
  readonly events: readonly SerializedEvent[];
  readonly lockTimeoutMs?: number | undefined;
}

type Translation = (facts: AppendFacts, sqlState: string, cause: Error) => EventStoreError;

const conflict: Translation = (_, sqlState, cause) =>
  new TransactionConflictError(sqlState, { cause });

/** By SQLSTATE, or SQLSTATE and constraint. What is not listed is a `StatementFailedError`. */
const translations = new Map<string, Translation>([
  ['40001', conflict], // serialization_failure
  ['40P01', conflict], // deadlock_detected
  [
    '55P03', // lock_not_available
    (facts, _, cause) => new AggregateLockedError(facts.aggregates, facts.lockTimeoutMs, { cause }),
  ],
  [
    '23505 domain_events_event_id_unique', // two transactions at once; one after another is an outcome row
    (facts, _, cause) => {
      const [aggregate = { type: '', id: '' }] = facts.aggregates;
      return new DuplicateEventError(
        aggregate,
        facts.events.map((event) => event.id),
        { cause },
      );
    },
  ],
]);

const lostConnectionCodes = new Set([
  ...['08000', '08001', '08003', '08004', '08006', '57P01', '57P02', '57P03'],
  ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'],
]);

/** What an error of the driver says of itself; handlers may throw anything, `undefined` included. */
const factsOf = (error: unknown): { code?: string; name?: string; message?: string } =>
  typeof error === 'object' && error !== null ? error : {};

/** Tells whether the connection is gone, and with it the knowledge of what the database did. */
export function isConnectionLoss(error: unknown): boolean {
  const { code, name, message } = factsOf(error);
  // TypeORM gives a query runner back to the pool by itself when its connection is lost.
  if (name !== undefined && /^QueryRunner(Provider)?AlreadyReleasedError$/.test(name)) return true;
  if (code !== undefined) return lostConnectionCodes.has(code);
  // node-postgres gives these no code.
  return /^Connection terminated|^Client has encountered a connection error|timeout exceeded when trying to connect/.test(
    message ?? '',
  );
}

/** Tells whether running into this again is a matter of timing and not of the data. */
export function isLockTimeout(error: unknown): boolean {
  return factsOf(error).code === '55P03';
}

/** Tells whether two transactions stood in each other's way, so that one of them was rolled back. */
export function isTransactionConflict(error: unknown): boolean {
  const { code } = factsOf(error);
  return code === '40001' || code === '40P01';
}

/** Tells whether the server cannot serve anybody just now: out of resources, or being operated on. */
export function isServerTrouble(error: unknown): boolean {
  const { code } = factsOf(error);
  return code !== undefined && /^(53|57|58)/.test(code);
}

/** Turns whatever a statement of the store failed with into an error of ours, its cause kept. */
export function translateError(
  error: unknown,
  facts: AppendFacts = { aggregates: [], events: [] },
): EventStoreError {
  if (error instanceof EventStoreError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  if (isConnectionLoss(cause)) return new ConnectionLostError({ cause });
  const { code, constraint } = cause as { code?: string; constraint?: string };
  const translate = translations.get(`${code} ${constraint}`) ?? translations.get(code ?? '');
  return translate
    ? translate(facts, code ?? '', cause)
    : new StatementFailedError(code, cause.message.replace(/\.$/, ''), { cause });
}
