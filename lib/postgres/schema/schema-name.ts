import { createHash } from 'node:crypto';
import type { OptionRule } from '../../input/option-rules.ts';

// A schema's name ends up in identifiers, in a channel and in settings, all cut silently at 63 bytes.
const pattern = /^[a-z_][a-z0-9_]{0,62}$/;

/** Returns whether `name` can be the store's schema: a plain lower-case PostgreSQL name of up to 63 bytes. */
export function isSchemaName(name: unknown): name is string {
  return typeof name === 'string' && pattern.test(name) && !name.startsWith('pg_');
}

export const schemaNameRule: OptionRule = [
  isSchemaName,
  'a lower-case name of letters, digits and _, up to 63 bytes, not pg_…',
];

/**
 * The first key of this store's advisory locks, different for every schema.
 *
 * Advisory locks are per database, so two stores in one database need two names for theirs.
 */
export function lockNamespace(schema: string): number {
  return createHash('sha256').update(`nest-event-store:${schema}`).digest().readInt32BE();
}

/**
 * The key of an advisory lock for one purpose in one schema: 64 bits, a space apart from the pairs of
 * keys that register appends in flight.
 */
export function lockKey(purpose: string, schema: string): string {
  const digest = createHash('sha256').update(`nest-event-store ${purpose} ${schema}`).digest();
  return digest.readBigInt64BE().toString();
}
