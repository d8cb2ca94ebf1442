/** Which session of the server runs this, and whether a statement was prepared in it by this name. */
export const readSession = `
SELECT pg_backend_pid() AS pid,
  EXISTS (SELECT FROM pg_prepared_statements AS s WHERE s.name = $1) AS knows_name`;
