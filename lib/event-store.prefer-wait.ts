/**
 * Returns the seconds that a `Prefer` header (RFC 7240) asks to wait: `undefined` if it does not say
 * `wait`, `null` if it says so without a number.
 *
 * What a header says wrongly is ignored, as the RFC has it; of several `wait` the first one counts.
 */
export function preferredWaitSeconds(header: string | undefined): number | null | undefined {
  if (header === undefined) return undefined;
  // A quoted number is a number; any other quoted text could hold a comma.
  const unquoted = header.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (_, text: string) =>
    /^\d+$/.test(text) ? text : '?',
  );
  for (const preference of unquoted.split(',')) {
    const [name, value] = preference
      .split(';', 1)[0]!
      .split('=', 2)
      .map((part) => part.trim());
    if (name?.toLowerCase() !== 'wait') continue;
    if (!value) return null;
    return /^\d+$/.test(value) ? Number(value) : undefined;
  }
  return undefined;
}
