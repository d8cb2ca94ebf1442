import { pinTransaction } from '../search-path.sql.ts';
import type { Queryable } from './installed-version.ts';

/**
 * Runs statements as one unit, all or none, with names looked up only in PostgreSQL's own schema:
 * defaults, checks and types are resolved when they are created, with the rights of the owner.
 *
 * The transaction may be TypeORM's and contain later migrations of the application, so its search_path
 * is restored. Without a transaction, the setting ends with the statements.
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
