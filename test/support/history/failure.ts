import { EventStoreError } from '../../../lib/event-store.error.ts';
import type { AttemptError } from './history.ts';

/** Ends a transaction that is to leave nothing behind. */
export const rolledBack = new Error('rolled back on purpose');

/** These say that nothing was written. */
const refusals = new Set([
  ...['WRONG_EXPECTED_VERSION', 'DUPLICATE_EVENT', 'AGGREGATE_LOCKED', 'TRANSACTION_CONFLICT'],
  ...['STATEMENT_FAILED', 'STORE_OVERLOADED', 'STORE_CLOSED'],
]);

/**
 * What an error says of itself: whether anything can have been written, and whether it is the store's.
 *
 * What a transaction of the caller's own fails with may be TypeORM's.
 */
export function describeFailure(
  error: unknown,
  where: 'store' | 'transaction' = 'store',
): {
  readonly outcome: 'refused' | 'unknown';
  readonly error: AttemptError;
} {
  const { name, message, stack } = error as Error;
  const isTyped = error instanceof EventStoreError || where === 'transaction';
  const facts = error as { code?: string; outcome?: string; actualVersion?: number };
  const isRefused =
    error === rolledBack || facts.outcome === 'not-applied' || refusals.has(facts.code ?? '');
  return {
    outcome: isRefused ? 'refused' : 'unknown',
    error: {
      name,
      // Of one that nobody expects, where it comes from.
      message: isTyped ? message : `${stack}`,
      code: facts.code,
      actualVersion: facts.actualVersion,
      isTyped,
    },
  };
}
