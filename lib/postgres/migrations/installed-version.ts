/** Anything that runs SQL: a data source, a manager or a query runner of TypeORM. */
export interface Queryable {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}

// Asks the catalogue's tables: to_regprocedure() answers from a cache of the connection, which may
// not know yet what another process has just committed. Every name comes with its schema, as the owner may
// ask with any search_path.
const isInstalled = `
SELECT FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND p.proname OPERATOR(pg_catalog.=) 'schema_version'
  AND p.pronargs OPERATOR(pg_catalog.=) 0`;

/** Returns the number of the last migration that the schema has seen; 0 if there is no such schema. */
export async function installedVersion(queryable: Queryable, schema: string): Promise<number> {
  const found = (await queryable.query(isInstalled, [schema])) as unknown[];
  if (found.length === 0) return 0;
  const [row] = (await queryable.query(`SELECT "${schema}".schema_version() AS version`)) as [
    { version: number },
  ];
  return row.version;
}
