/**
 * The clause of a function that looks nowhere but in PostgreSQL's own schema.
 *
 * A name without a schema is otherwise looked up where the session says, and a role that may create
 * functions there can plant one that fits better, with the rights of the caller. The temporary schema is
 * named because it would come first if it were not.
 */
export const pinSearchPath = 'SET search_path = pg_catalog, pg_temp';

/** The same for the rest of a transaction. */
export const pinTransaction = 'SET LOCAL search_path = pg_catalog, pg_temp';
