import { messageWithoutValues } from '../../input/message-without-values.ts';
import { errorOf } from '../../input/thrown-error.ts';

/**
 * Returns the name and the message of whatever was thrown, cut to what fits on a screen. Never throws.
 *
 * It is stored where roles without access to the data can read it, so the values that PostgreSQL
 * quotes are left out; the log has the whole error.
 */
export function describeError(thrown: unknown): string {
  const error = errorOf(thrown);
  // PostgreSQL keeps no NUL in a text.
  return `${error.name}: ${messageWithoutValues(error)}`.replaceAll('\0', '').slice(0, 2_000);
}
