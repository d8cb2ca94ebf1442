import { isLost, isRecordedHere, lostTable } from '../schema/fragments/lost-table.sql.ts';

export const readLostTable = (schema: string): string => `
SELECT ${lostTable(schema, '$1', '$2')} AS lost`;

/** Forgets the missing tables of a generation, whose loss is intended or accepted. */
export const forgetLostTables = (schema: string): string => `
DELETE FROM "${schema}".read_model_tables AS made
WHERE made.consumer = $1 AND made.generation = $2 AND ${isLost('made')}`;

// No temporary tables, and no partitions, which may come and go with the time range that they hold.
const isKept = `t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relpersistence <> 't'`;

/** The tables that exist before hooks are called. */
export const readTables = `
SELECT coalesce(array_agg(t.oid), '{}')::text AS tables FROM pg_class AS t WHERE ${isKept}`;

/**
 * Records the tables that hooks have created in this transaction: they did not exist before, and the
 * transaction holds the lock that creating a table takes. Other sessions may create tables meanwhile.
 */
export const recordTables = (schema: string): string => `
INSERT INTO "${schema}".read_model_tables (
  consumer, generation, table_oid, table_schema, table_name, recorded_in
)
SELECT $1, $2, t.oid, n.nspname, t.relname, pg_current_xact_id()::xid
FROM pg_locks AS l
JOIN pg_class AS t ON t.oid = l.relation
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
  AND ${isKept} AND t.oid <> ALL ($3::oid[])
ORDER BY t.oid`;

/**
 * Records new names of tables, and, after a restore, their new object ids. Processes that start
 * together do not wait for each other.
 */
export const refreshTables = (schema: string): string => `
UPDATE "${schema}".read_model_tables AS made
SET table_oid = f.oid, table_schema = f.nspname, table_name = f.relname,
  recorded_in = pg_current_xact_id()::xid
FROM (
  SELECT renamed.* FROM (
    SELECT k.id, t.oid, n.nspname, t.relname
    FROM "${schema}".read_model_tables AS k
    JOIN pg_class AS t ON t.oid = k.table_oid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE k.consumer = ANY ($1) AND ${isRecordedHere('k')}
      AND (n.nspname, t.relname) <> (k.table_schema, k.table_name)
    FOR UPDATE OF k SKIP LOCKED
  ) AS renamed
  UNION ALL
  SELECT restored.* FROM (
    SELECT k.id, t.oid, n.nspname, t.relname
    FROM "${schema}".read_model_tables AS k
    JOIN pg_namespace AS n ON n.nspname = k.table_schema
    JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = k.table_name
    WHERE k.consumer = ANY ($1) AND NOT ${isRecordedHere('k')}
    FOR UPDATE OF k SKIP LOCKED
  ) AS restored
) AS f
WHERE made.id = f.id`;
