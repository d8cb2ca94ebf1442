import { refusedInNames } from '../../../input/printable-name.ts';

const escape = (code: number): string => `\\\\U${code.toString(16).padStart(8, '0')}`;

/**
 * A pattern, as a literal, for what a stored name must not contain: the rule of `problemOfName`.
 *
 * It uses only code points and escapes, so that it means the same under every collation, and E'', so
 * that it means the same under every setting of standard_conforming_strings.
 */
export const unprintableName = `E'${refusedInNames((from, to) =>
  // A string of PostgreSQL cannot contain NUL, so the pattern must not contain it either.
  from === to ? escape(from) : `${escape(Math.max(from, 1))}-${escape(to)}`,
).join('|')}'`;
