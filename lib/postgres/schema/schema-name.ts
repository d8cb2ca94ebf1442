import { createHash } from 'node:crypto';
import type { OptionRule } from '../../input/option-rules.ts';

// The name becomes part of identifiers, a channel and settings, all of which are cut silently at 63
// bytes.
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
 * Advisory locks belong to the database, so two stores in one database need two keys.
 */
export function lockNamespace(schema: string): number {
  return createHash('sha256').update(`nest-event-store:${schema}`).digest().readInt32BE();
}

/**
 * The key of an advisory lock for one purpose in one schema: a single 64-bit key, which never collides
 * with the pairs of keys that register appends in flight.
 */
export function lockKey(purpose: string, schema: string): string {
  const digest = createHash('sha256').update(`nest-event-store ${purpose} ${schema}`).digest();
  return digest.readBigInt64BE().toString();
}
