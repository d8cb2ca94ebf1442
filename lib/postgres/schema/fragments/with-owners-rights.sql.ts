import { pinSearchPath } from '../search-path.sql.ts';

/** Clauses of a function that does what its caller has no right to do by itself. */
export const withOwnersRights = `SECURITY DEFINER
${pinSearchPath}`;

/** Takes such functions away from everybody, who could otherwise call them with USAGE on the schema. */
export const revokeOwnersRights = (schema: string): string => `
REVOKE ALL ON FUNCTION
  "${schema}".append_event, "${schema}".append_events, "${schema}".remove_events
FROM PUBLIC;
`;
