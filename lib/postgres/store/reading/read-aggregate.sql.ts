import { microseconds } from '../../schema/fragments/microseconds.sql.ts';

const eventColumns = `e.position, e.event_id, e.version, e.type, e.revision, e.payload,
  e.binary_payload, e.metadata, ${microseconds('e.recorded_at')} AS recorded_at`;

/**
 * Reads one aggregate strictly after a version: $1 type, $2 id, $3 after, $4 limit.
 *
 * Every row also names the event at that version, or, if the aggregate ends before it, the last event.
 * From it, a caller knows whether the log is still the one that it has read.
 *
 * For an aggregate without events after that version, there is one row with its current version alone;
 * for an unknown aggregate, there is none. Needs no horizon: the row lock of the aggregate commits its
 * versions in order.
 *
 * An event beyond the aggregate's version was never appended and is not part of the history.
 *
 * A subquery compares the version: with a plain $3, PostgreSQL would make a new plan at each call.
 */
export const readAggregate = (schema: string): string => `
SELECT g.version AS current_version, g.removed_version, b.base_id, b.base_position, p.*
FROM "${schema}".aggregates AS g
LEFT JOIN LATERAL (
  SELECT e.event_id AS base_id, e.position AS base_position
  FROM "${schema}".domain_events AS e
  WHERE e.aggregate_key = g.key AND e.version = least((SELECT $3::bigint), g.version)
  LIMIT 1
) AS b ON true
LEFT JOIN LATERAL (
  SELECT ${eventColumns}
  FROM "${schema}".domain_events AS e
  WHERE e.aggregate_key = g.key AND e.version > (SELECT $3::bigint) AND e.version <= g.version
  ORDER BY e.version
  LIMIT $4
) AS p ON true
WHERE g.type = $1 AND g.id = $2
ORDER BY p.version`;

/**
 * Reads the last snapshot and all events after it in one statement, and so at one moment: $1 type, $2
 * id, $3 revision. A snapshot of another revision is returned without its state, and all events are
 * read.
 *
 * Every row also names the event at the snapshot's version. Only the first row has the state, so that
 * it is sent once however many events follow.
 */
export const readHistory = (schema: string): string => `
SELECT
  g.version AS current_version, g.removed_version, g.snapshot_version, g.snapshot_revision,
  CASE WHEN s.usable AND (p.version IS NULL OR p.version = s.base + 1)
    THEN g.snapshot_state END AS snapshot_state,
  CASE WHEN s.usable AND (p.version IS NULL OR p.version = s.base + 1)
    THEN g.snapshot_binary END AS snapshot_binary,
  b.base_id, b.base_position,
  p.*
FROM "${schema}".aggregates AS g
CROSS JOIN LATERAL (
  SELECT
    g.snapshot_revision IS NOT DISTINCT FROM $3 AS usable,
    CASE WHEN g.snapshot_revision = $3 THEN g.snapshot_version ELSE g.removed_version END AS base
) AS s
LEFT JOIN LATERAL (
  SELECT e.event_id AS base_id, e.position AS base_position
  FROM "${schema}".domain_events AS e
  WHERE e.aggregate_key = g.key AND e.version = s.base
  LIMIT 1
) AS b ON true
LEFT JOIN LATERAL (
  SELECT ${eventColumns}
  FROM "${schema}".domain_events AS e
  WHERE e.aggregate_key = g.key AND e.version > s.base AND e.version <= g.version
  ORDER BY e.version
) AS p ON true
WHERE g.type = $1 AND g.id = $2
ORDER BY p.version`;
