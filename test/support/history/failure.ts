import { EventStoreError } from '../../../lib/event-store.error.ts';
import type { AttemptError } from './history.ts';

/** Ends a transaction that is to leave nothing behind. */
export const rolledBack = new Error('rolled back on purpose');

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
  const { code, actualVersion } = error as { code?: string; actualVersion?: number };
  const isOurs = error instanceof EventStoreError;
  const isTyped = isOurs || where === 'transaction';
  const isRefused =
    error === rolledBack ||
    // The constraint that a commit was made to violate.
    code === '23503' ||
    (isOurs && error.outcome === 'not-applied');
  return {
    outcome: isRefused ? 'refused' : 'unknown',
    error: {
      name,
      // Of one that nobody expects, where it comes from.
      message: isTyped ? message : `${stack}`,
      code,
      actualVersion,
      isTyped,
    },
  };
}
