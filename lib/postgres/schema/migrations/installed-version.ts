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

/** Which migrations were applied to a schema, and which of their objects still exist. */
export interface InstalledSchema {
  /** The number of the last applied migration, as the schema reports it; 0 if it does not. */
  readonly version: number;
  /** The existing objects of the migrations up to `version`, or of all migrations if it is 0. */
  readonly present: readonly SchemaObject[];
  /** The missing objects: the schema was restored in part, or its tables were dropped. */
  readonly missing: readonly SchemaObject[];
}

/**
 * Returns what is installed in a schema.
 *
 * Reads the catalogue's tables: to_regprocedure() answers from a cache of the connection, which may not
 * yet know what another process has just committed. The version alone proves nothing: the function that
 * returns it survives when tables are dropped.
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
 * Returns the number of the last migration that was applied to the schema; 0 if there is no such
 * schema, or only an empty leftover.
 */
export async function installedVersion(queryable: Queryable, schema: string): Promise<number> {
  const installed = await installedSchema(queryable, schema);
  return (await isEmptyLeftover(queryable, schema, installed)) ? 0 : installed.version;
}

/**
 * Returns whether a schema is incomplete and empty, so that it may be created again. This happens when
 * TypeORM's `dropSchema` drops the tables and leaves the functions.
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

/** Drops the objects of an empty leftover, and nothing else that may be in the schema. */
export async function dropLeftover(queryable: Queryable, schema: string): Promise<void> {
  const installed = await installedSchema(queryable, schema);
  if (!(await isEmptyLeftover(queryable, schema, installed))) return;
  const drop = async (kind: ObjectKind, present: readonly SchemaObject[]): Promise<void> => {
    const names = present
      .filter((object) => object.kind === kind)
      .map(({ name }) => `"${schema}"."${name}"`);
    if (names.length > 0) await queryable.query(`DROP ${kind} ${names.join(', ')}`);
  };
  // Dropping the tables also drops their constraints, indexes, triggers, and the sequences that they
  // own.
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
