import { EventStoreError } from '../../../lib/event-store.error.ts';
import type { AttemptError } from './history.ts';

/** Thrown to roll a transaction back. */
export const rolledBack = new Error('rolled back on purpose');

/**
 * Describes an error: whether anything can have been written, and whether it is an error of the store.
 *
 * A transaction of the caller may fail with an error of TypeORM.
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
      // The origin of an unexpected error.
      message: isTyped ? message : `${stack}`,
      code,
      actualVersion,
      isTyped,
    },
  };
}
