/** Says whether PostgreSQL keeps a text as it is, and can compare with it. */
export const isStorableText = (text: unknown): text is string =>
  typeof text === 'string' && problemOfText(text) === undefined;

/** Says what keeps PostgreSQL from storing a text, and what to do about it; `undefined` if nothing does. */
export function problemOfText(text: string): string | undefined {
  if (text.includes('\0')) return 'a NUL character, which PostgreSQL cannot store; remove it';
  if (/\p{Cs}/u.test(text)) return 'half of a surrogate pair, which is not text; repair it';
  return undefined;
}
