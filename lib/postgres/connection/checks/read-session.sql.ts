/** Returns the server session that runs this, and whether a statement of this name is prepared in it. */
export const readSession = `
SELECT pg_backend_pid() AS pid,
  EXISTS (SELECT FROM pg_prepared_statements AS s WHERE s.name = $1) AS knows_name`;
