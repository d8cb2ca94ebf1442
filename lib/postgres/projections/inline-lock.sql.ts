// Advisory locks of the transaction, one for each consumer, by a digest of schema and name; two
// consumers that share a digest only wait for each other.
const key = (schema: string, name: string): string =>
  `hashtextextended('nest-event-store inline ${schema} ' || ${name}, 0::bigint)`;

/** Waits for the open appends, but not for long, because new appends wait for this lock. */
export const lockInlineExclusively = (schema: string): string => `
SELECT pg_advisory_xact_lock(${key(schema, '$1')})
FROM (SELECT set_config('lock_timeout', '1000', true)) AS t (timeout)`;

/** Takes the locks in the order of names, the same in every transaction, against deadlocks. */
export const lockInlineShared = (schema: string): string => `
SELECT pg_advisory_xact_lock_shared(${key(schema, 'n.name')})
FROM (SELECT name FROM pg_catalog.unnest($1::text[]) AS u (name) ORDER BY name) AS n`;

/**
 * Reads the generations in use. Above READ COMMITTED the snapshot may be older than the lock, and would
 * miss a change made since then; in that case locking the rows fails (40001), as it should.
 */
export const readGenerations = (schema: string): string => `
WITH unchanged AS MATERIALIZED (
  SELECT c.name FROM "${schema}".consumers AS c
  WHERE c.name = ANY ($1)
    AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
  FOR SHARE
)
SELECT c.name, c.generation
FROM "${schema}".consumers AS c
LEFT JOIN unchanged AS u ON u.name = c.name
WHERE c.name = ANY ($1)`;
