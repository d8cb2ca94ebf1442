import { pinSearchPath } from '../search-path.sql.ts';

/** Clauses for a function that does what its caller has no right to do. */
export const withOwnersRights = `SECURITY DEFINER
${pinSearchPath}`;

/** Revokes such functions from PUBLIC; otherwise any role with USAGE on the schema could call them. */
export const revokeOwnersRights = (schema: string): string => `
REVOKE ALL ON FUNCTION
  "${schema}".append_event, "${schema}".append_events, "${schema}".remove_events
FROM PUBLIC;
`;
