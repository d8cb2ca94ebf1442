/** Anything that runs SQL: a data source, a manager or a query runner of TypeORM. */
export interface Queryable {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}

/** Returns the number of the last migration that the schema has seen; 0 if there is no such schema. */
export async function installedVersion(queryable: Queryable, schema: string): Promise<number> {
  const regprocedure = `"${schema}".schema_version()`;
  const [found] = (await queryable.query('SELECT to_regprocedure($1) IS NOT NULL AS installed', [
    regprocedure,
  ])) as [{ installed: boolean }];
  if (!found.installed) return 0;
  const [row] = (await queryable.query(`SELECT ${regprocedure} AS version`)) as [
    { version: number },
  ];
  return row.version;
}
