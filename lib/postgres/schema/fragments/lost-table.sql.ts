/**
 * Whether a row of `read_model_tables` still has the object id of its table. Object ids are valid in
 * one database only: a restored dump has new ones. A restore also writes the row in another transaction
 * than the one that the row names, which reveals the restore.
 */
export const isRecordedHere = (row: string): string => `${row}.xmin = ${row}.recorded_in`;

/**
 * Whether the table of such a row is gone. The table is identified by its object id: a table may be
 * renamed, and one that was created again under the same name does not count, because its rows are
 * lost. After a restore, it is identified by its name.
 */
export const isLost = (row: string): string => `NOT CASE WHEN ${isRecordedHere(row)}
    THEN EXISTS (SELECT FROM pg_class AS t WHERE t.oid = ${row}.table_oid)
    ELSE EXISTS (
      SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
      WHERE n.nspname = ${row}.table_schema AND t.relname = ${row}.table_name
    )
  END`;

/**
 * A table that a hook of this generation has created and that is gone; NULL if all of them still exist.
 */
export const lostTable = (schema: string, consumer: string, generation: string): string => `(
  SELECT format('%I.%I', made.table_schema, made.table_name)
  FROM "${schema}".read_model_tables AS made
  WHERE made.consumer = ${consumer} AND made.generation = ${generation} AND ${isLost('made')}
  ORDER BY made.id
  LIMIT 1
)`;
