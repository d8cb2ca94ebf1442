import { migrationStatements } from './statements.ts';
import {
  nameOf,
  nameOfRow,
  type ObjectKind,
  objectsOf,
  readObjects,
  type SchemaObject,
} from './schema-objects.ts';

/** Anything that runs SQL: a data source, a manager or a query runner of TypeORM. */
export interface Queryable {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}

/** What a schema has seen of the migrations, and what is still there. */
export interface InstalledSchema {
  /** The number of the last migration that it has seen, as it says itself; 0 if it does not. */
  readonly version: number;
  /** What the migrations up to that one have made. */
  readonly present: readonly SchemaObject[];
  /** What of it is gone: the schema was restored in part, or its tables were dropped. */
  readonly missing: readonly SchemaObject[];
}

/**
 * Returns what is installed in a schema.
 *
 * Asks the catalogue's tables: to_regprocedure() answers from a cache of the connection, which may not
 * know yet what another process has just committed. The version alone proves nothing: the function that
 * returns it outlives dropped tables.
 */
export async function installedSchema(
  queryable: Queryable,
  schema: string,
): Promise<InstalledSchema> {
  const rows = (await queryable.query(readObjects, [schema])) as { kind: string; name: string }[];
  const found = new Set(rows.map(nameOfRow));
  const isThere = (object: SchemaObject): boolean => found.has(nameOf(object));
  const version = found.has('function schema_version') ? await said(queryable, schema) : 0;
  return {
    version,
    present: objectsOf(version || migrationStatements.length).filter(isThere),
    missing: objectsOf(version).filter((object) => !isThere(object)),
  };
}

/**
 * Returns the number of the last migration that the schema has seen; 0 if there is no such schema, or
 * nothing but an empty leftover of one.
 */
export async function installedVersion(queryable: Queryable, schema: string): Promise<number> {
  const installed = await installedSchema(queryable, schema);
  return (await isEmptyLeftover(queryable, schema, installed)) ? 0 : installed.version;
}

/**
 * Returns whether a schema is in pieces and holds nothing, so that it may be made again: as where TypeORM's
 * `dropSchema` has dropped its tables, which leaves the functions.
 */
export async function isEmptyLeftover(
  queryable: Queryable,
  schema: string,
  { version, present, missing }: InstalledSchema,
): Promise<boolean> {
  const isOurs = version > 0 && version <= migrationStatements.length;
  if (!isOurs || missing.length === 0) return false;
  for (const { name } of tablesOf(present)) {
    const rows = (await queryable.query(`SELECT FROM "${schema}"."${name}" LIMIT 1`)) as unknown[];
    if (rows.length > 0) return false;
  }
  return true;
}

/** Drops what is there of an empty leftover, and nothing else that may be in the schema. */
export async function dropLeftover(queryable: Queryable, schema: string): Promise<void> {
  const installed = await installedSchema(queryable, schema);
  if (!(await isEmptyLeftover(queryable, schema, installed))) return;
  const drop = async (kind: ObjectKind, present: readonly SchemaObject[]): Promise<void> => {
    const names = present
      .filter((object) => object.kind === kind)
      .map(({ name }) => `"${schema}"."${name}"`);
    if (names.length > 0) await queryable.query(`DROP ${kind} ${names.join(', ')}`);
  };
  // With the tables go their constraints, indexes, triggers, and the sequences that they own.
  await drop('table', installed.present);
  const { present } = await installedSchema(queryable, schema);
  for (const kind of ['function', 'domain', 'sequence'] as const) await drop(kind, present);
}

const tablesOf = (objects: readonly SchemaObject[]): SchemaObject[] =>
  objects.filter(({ kind }) => kind === 'table');

async function said(queryable: Queryable, schema: string): Promise<number> {
  const [row] = (await queryable.query(`SELECT "${schema}".schema_version() AS version`)) as [
    { version: number },
  ];
  return row.version;
}
