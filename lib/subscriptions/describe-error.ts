import { errorOf } from '../events/thrown-error.ts';

/** Returns the name and the message of whatever was thrown, cut to what fits on a screen. Never throws. */
export function describeError(thrown: unknown): string {
  const { name, message } = errorOf(thrown);
  // PostgreSQL keeps no NUL in a text.
  return `${name}: ${message}`.replaceAll('\0', '').slice(0, 2_000);
}
