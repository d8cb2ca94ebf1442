// Advisory locks of the transaction, one for each consumer, by a digest of schema and name; two
// consumers that share a digest only wait for each other.
const key = (schema: string, name: string): string =>
  `hashtextextended('nest-event-store inline ${schema} ' || ${name}, 0)`;

/** Waits for the open appends, but not for long: the appends that come meanwhile wait behind it. */
export const lockInlineExclusively = (schema: string): string => `
SELECT pg_advisory_xact_lock(${key(schema, '$1')})
FROM (SELECT set_config('lock_timeout', '1000', true)) AS t (timeout)`;

/** In the order of names, the same everywhere, against deadlocks. */
export const lockInlineShared = (schema: string): string => `
SELECT pg_advisory_xact_lock_shared(${key(schema, 'n.name')})
FROM (SELECT name FROM unnest($1::text[]) AS u (name) ORDER BY name) AS n`;

export const readGenerations = (schema: string): string => `
SELECT c.name, c.generation FROM "${schema}".consumers AS c WHERE c.name = ANY ($1)`;
