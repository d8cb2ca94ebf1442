/** Returns whether PostgreSQL stores a text unchanged and can compare with it. */
export const isStorableText = (text: unknown): text is string =>
  typeof text === 'string' && problemOfText(text) === undefined;

/** Returns why PostgreSQL cannot store a text, with a remedy; `undefined` if it can. */
export function problemOfText(text: string): string | undefined {
  if (text.includes('\0')) return 'a NUL character, which PostgreSQL cannot store; remove it';
  if (/\p{Cs}/u.test(text)) return 'half of a surrogate pair, which is not text; repair it';
  return undefined;
}
