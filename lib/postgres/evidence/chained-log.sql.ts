import { lockKey } from '../schema/schema-name.ts';
import { pinTransaction } from '../schema/search-path.sql.ts';

/**
 * Reads a page of the log with everything that a verification compares: $1 after, $2 up to, $3 rows, $4
 * bytes as stored, which only the first row may exceed. A removed event has only its place and its
 * hash.
 *
 * `previous_version` is that of the previous event of the aggregate that still exists, or of the last
 * removed one. If the aggregate of an event is missing, the row has no aggregate.
 */
export const readChainedLog = (schema: string): string => `
SELECT
  c.position, c.removed, g.type AS aggregate_type, g.id AS aggregate_id,
  g.version AS aggregate_version, g.removed_version, c.version,
  CASE WHEN NOT c.removed THEN greatest(p.version, g.removed_version) END AS previous_version,
  p.hash AS previous_hash, c.hash, c.event_id, c.type, c.revision,
  c.payload::pg_catalog.text AS payload, c.binary_payload, c.metadata::pg_catalog.text AS metadata,
  timestamptz_send(c.recorded_at) AS recorded_at
FROM (
  SELECT m.*, sum(m.bytes) OVER (ORDER BY m.position, m.removed) - m.bytes AS bytes_before
  FROM (
    SELECT
      e.position, false AS removed, e.aggregate_key, e.version, e.hash, e.event_id, e.type,
      e.revision, e.payload, e.binary_payload, e.metadata, e.recorded_at,
      pg_column_size(e.payload) + coalesce(pg_column_size(e.binary_payload), 0)
        + pg_column_size(e.metadata) AS bytes
    FROM ${page(schema, 'domain_events')} AS e
    UNION ALL
    SELECT
      r.position, true, r.aggregate_key, r.version, r.hash, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0
    FROM ${page(schema, 'removed_hashes')} AS r
    ORDER BY position, removed
    LIMIT $3
  ) AS m
) AS c
LEFT JOIN "${schema}".aggregates AS g ON g.key = c.aggregate_key
LEFT JOIN LATERAL (
  SELECT b.version, b.hash FROM "${schema}".domain_events AS b
  WHERE NOT c.removed AND b.aggregate_key = c.aggregate_key AND b.version < c.version
  ORDER BY b.version DESC
  LIMIT 1
) AS p ON true
WHERE c.bytes_before < $4
ORDER BY c.position, c.removed`;

/**
 * Reads a page of snapshots, each with the hash of the event at its version: $1 after which key, $2
 * rows, $3 bytes as stored, which only the first row may exceed.
 */
export const readChainedSnapshots = (schema: string): string => `
SELECT
  s.key, s.type AS aggregate_type, s.id AS aggregate_id, s.snapshot_version AS version,
  s.snapshot_revision AS revision, s.snapshot_state::pg_catalog.text AS state,
  s.snapshot_binary AS binary, s.snapshot_hash AS hash, e.hash AS event_hash
FROM (
  SELECT l.*, sum(l.bytes) OVER (ORDER BY l.key) - l.bytes AS bytes_before
  FROM (
    SELECT g.*,
      pg_column_size(g.snapshot_state) + coalesce(pg_column_size(g.snapshot_binary), 0) AS bytes
    FROM "${schema}".aggregates AS g
    WHERE g.key > $1 AND g.snapshot_version IS NOT NULL
    ORDER BY g.key
    LIMIT $2
  ) AS l
) AS s
LEFT JOIN "${schema}".domain_events AS e
  ON e.aggregate_key = s.key AND e.version = s.snapshot_version
WHERE s.bytes_before < $3
ORDER BY s.key`;

/**
 * Finds aggregates whose last events are missing: $1 limit. A single statement, so it sees one moment.
 */
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
 * Settings for one transaction: only functions of PostgreSQL are called. A page is best read along the
 * index of positions, whatever the statistics of the tables say, with the rows that belong to it looked
 * up one by one.
 */
export const readSafely = `
${pinTransaction};
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL jit = off`;

/**
 * Keeps other processes from writing an anchor until the transaction ends: two would follow the same
 * one.
 */
export const lockAnchors = (schema: string): string =>
  `SELECT pg_advisory_xact_lock(${lockKey('anchors', schema)})`;

const page = (schema: string, table: string): string => `(
  SELECT * FROM "${schema}".${table} AS d
  WHERE d.position > $1 AND d.position <= $2
  ORDER BY d.position
  LIMIT $3
)`;

/**
 * Only the primary knows which appends are in flight. Checked here, because no function of the schema
 * is called.
 */
export const readIsStandby = 'SELECT pg_is_in_recovery() AS standby';
