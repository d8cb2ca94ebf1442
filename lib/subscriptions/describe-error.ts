/** Returns the name and the message of an error, cut to what fits on a screen. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  // PostgreSQL keeps no NUL in a text.
  return text.replaceAll('\0', '').slice(0, 2_000);
}
