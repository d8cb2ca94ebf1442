import { pinSearchPath } from '../search-path.sql.ts';

/** Returns the number of the last migration that was applied to a schema. */
export const schemaVersion = (schema: string, version: number): string => `
CREATE OR REPLACE FUNCTION "${schema}".schema_version() RETURNS integer
LANGUAGE sql IMMUTABLE ${pinSearchPath} AS 'SELECT ${version}';
`;
