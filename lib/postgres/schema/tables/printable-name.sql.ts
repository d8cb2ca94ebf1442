import { refusedInNames } from '../../../input/printable-name.ts';

const escape = (code: number): string => `\\\\U${code.toString(16).padStart(8, '0')}`;

/**
 * A pattern for what a stored name must not contain, as a literal: the rule of `problemOfName`.
 *
 * By code points and with escapes alone, so that it means the same under every collation, and with E'',
 * so that it does under every setting of standard_conforming_strings.
 */
export const unprintableName = `E'${refusedInNames((from, to) =>
  // A string of PostgreSQL has no NUL, and the pattern may not have one either.
  from === to ? escape(from) : `${escape(Math.max(from, 1))}-${escape(to)}`,
).join('|')}'`;
