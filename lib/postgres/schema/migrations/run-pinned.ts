import { pinTransaction } from '../search-path.sql.ts';
import type { Queryable } from './installed-version.ts';

/**
 * Runs statements as one, so that all or none is done, with names looked up in PostgreSQL's own schema
 * alone: defaults, checks and types are resolved when they are created, with the rights of the owner.
 *
 * The transaction may be TypeORM's, with migrations of the application after this one, so it gets its
 * search_path back. Without a transaction, the setting ends with the statements.
 */
export async function runPinned(
  queryable: Queryable,
  statements: readonly string[],
): Promise<void> {
  const [before] = (await queryable.query('SHOW search_path')) as [{ search_path: string }];
  await queryable.query(`${pinTransaction};\n${statements.join('\n')}`);
  await queryable.query(
    "SELECT pg_catalog.set_config('search_path'::pg_catalog.text, $1::pg_catalog.text, true)",
    [before.search_path],
  );
}
