import { eventHash } from './event-hash.ts';
import { lockKey } from './schema-name.ts';

/**
 * A page of the log with what is to be held against each other: $1 after, $2 up to, $3 limit. Of a
 * removed event only place and hash are left.
 *
 * `previous_version` is that of the event before it in its aggregate which is still there, or of the
 * last one removed. An event whose aggregate is gone is a row without one.
 */
export const readChainedLog = (schema: string): string => `
SELECT
  e.position, false AS removed, g.type AS aggregate_type, g.id AS aggregate_id,
  g.version AS aggregate_version, g.removed_version, e.version,
  greatest(p.version, g.removed_version) AS previous_version,
  p.hash IS NOT NULL AS follows_hash, e.hash,
  ${eventHash('e', { previous: 'p.hash', aggregate: 'g' })} AS expected
FROM ${page(schema, 'domain_events')} AS e
LEFT JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
LEFT JOIN LATERAL (
  SELECT b.version, b.hash FROM "${schema}".domain_events AS b
  WHERE b.aggregate_key = e.aggregate_key AND b.version < e.version
  ORDER BY b.version DESC
  LIMIT 1
) AS p ON true
UNION ALL
SELECT
  r.position, true, g.type, g.id, g.version, g.removed_version, r.version, NULL, NULL, r.hash, NULL
FROM ${page(schema, 'removed_hashes')} AS r
LEFT JOIN "${schema}".aggregates AS g ON g.key = r.aggregate_key
ORDER BY position, removed
LIMIT $3`;

/** Aggregates whose last events are missing: $1 limit. One statement, so at one moment. */
export const readLostEnds = (schema: string): string => `
SELECT g.type, g.id, l.version AS last_version, g.version
FROM "${schema}".aggregates AS g
CROSS JOIN LATERAL (
  SELECT greatest(max(e.version), g.removed_version) AS version
  FROM "${schema}".domain_events AS e
  WHERE e.aggregate_key = g.key
) AS l
WHERE l.version < g.version
ORDER BY g.key
LIMIT $1`;

/**
 * For one transaction: a page is best read along the index of positions, whatever is known of the tables,
 * and what belongs to its rows is looked up row by row.
 */
export const planAlongIndexes = `
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL jit = off`;

/** Until the transaction ends, nobody else writes an anchor: two would follow the same one. */
export const lockAnchors = (schema: string): string =>
  `SELECT pg_advisory_xact_lock(${lockKey('anchors', schema)})`;

const page = (schema: string, table: string): string => `(
  SELECT * FROM "${schema}".${table} AS d
  WHERE d.position > $1 AND d.position <= $2
  ORDER BY d.position
  LIMIT $3
)`;
