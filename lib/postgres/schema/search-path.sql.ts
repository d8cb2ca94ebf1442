/**
 * The clause of a function that looks names up only in PostgreSQL's own schema.
 *
 * Without it, a name without a schema is looked up in the session's search_path. A role that may create
 * functions there could plant one that matches better, and it would run with the rights of the caller.
 * The temporary schema is listed because it would otherwise come first.
 */
export const pinSearchPath = 'SET search_path = pg_catalog, pg_temp';

/** Does the same for the rest of a transaction. */
export const pinTransaction = 'SET LOCAL search_path = pg_catalog, pg_temp';
