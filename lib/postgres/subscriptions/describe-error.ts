import { messageWithoutValues } from '../../input/message-without-values.ts';
import { errorOf } from '../../input/thrown-error.ts';

/**
 * Returns the name and the message of any thrown value, cut to a length that fits on a screen. Never
 * throws.
 *
 * The text is stored where roles without access to the data can read it, so the values that PostgreSQL
 * quotes are left out. The log has the whole error.
 */
export function describeError(thrown: unknown): string {
  const error = errorOf(thrown);
  // PostgreSQL cannot store NUL in a text.
  return `${error.name}: ${messageWithoutValues(error)}`.replaceAll('\0', '').slice(0, 2_000);
}
