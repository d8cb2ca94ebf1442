import { pinSearchPath } from '../search-path.sql.ts';

/** Says which migrations a schema has seen, whoever ran them. */
export const schemaVersion = (schema: string, version: number): string => `
CREATE OR REPLACE FUNCTION "${schema}".schema_version() RETURNS integer
LANGUAGE sql IMMUTABLE ${pinSearchPath} AS 'SELECT ${version}';
`;
