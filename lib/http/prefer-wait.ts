/**
 * Returns the seconds that a `Prefer` header (RFC 7240) asks to wait: `undefined` if it has no `wait`,
 * `null` if it has a `wait` without a number.
 *
 * Malformed parts of the header are ignored, as the RFC requires; of several `wait`, the first one
 * counts.
 */
export function preferredWaitSeconds(header: string | undefined): number | null | undefined {
  if (header === undefined) return undefined;
  for (const preference of withoutQuotes(header).split(',')) {
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

/**
 * Returns the header with each quoted number as a number, and any other quoted text, which could
 * contain a comma, as a question mark. Reads each character once, because a client may send any header.
 */
function withoutQuotes(header: string): string {
  let unquoted = '';
  for (let at = 0; at < header.length; at++) {
    if (header[at] !== '"') {
      unquoted += header[at];
      continue;
    }
    const from = at + 1;
    for (at = from; at < header.length && header[at] !== '"'; at++) if (header[at] === '\\') at++;
    const text = header.slice(from, at);
    unquoted += /^\d+$/.test(text) ? text : '?';
  }
  return unquoted;
}
