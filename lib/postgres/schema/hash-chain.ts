import type { Queryable } from './migrations/installed-version.ts';
import { readChainStart, startHashChain } from './hash-chain.sql.ts';
import { schemaNameRule } from './schema-name.ts';

/**
 * Returns the SQL that switches the hash chain of a store on, for an application that has no right to
 * do so with the option `hashChain`. Run it as the owner of the tables, after the migrations. A second
 * run does nothing.
 *
 * It waits for open transactions that have appended, and new appends wait for it.
 *
 * @throws TypeError if the name is not valid for a schema.
 *
 * @example
 * await owner.query(hashChainSql());
 */
export function hashChainSql(schema = 'event_store'): string {
  const [accepts, wanted] = schemaNameRule;
  if (accepts(schema)) return startHashChain(schema);
  throw new TypeError(`The schema must be ${wanted}, got '${schema}'.`);
}

/** Returns the position after which every event has a hash; `undefined` if the chain is off. */
export async function chainStart(
  queryable: Queryable,
  schema: string,
): Promise<number | undefined> {
  const [row] = (await queryable.query(readChainStart(schema))) as { start: string }[];
  return row && Number(row.start);
}
