/**
 * Clauses of a function that does what its caller has no right to do by itself.
 *
 * A caller may put functions of its own before those of PostgreSQL in its search_path, and they would
 * run with the rights of the owner. So the function looks nowhere but in PostgreSQL's own schema; the
 * temporary one is named because it would otherwise come first.
 */
export const withOwnersRights = `SECURITY DEFINER
SET search_path = pg_catalog, pg_temp`;

/** Takes such functions away from everybody, who could otherwise call them with USAGE on the schema. */
export const revokeOwnersRights = (schema: string): string => `
REVOKE ALL ON FUNCTION
  "${schema}".append_event, "${schema}".append_events, "${schema}".remove_events
FROM PUBLIC;
`;
