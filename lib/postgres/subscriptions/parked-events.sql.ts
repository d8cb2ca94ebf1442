import { microseconds } from '../schema/fragments/microseconds.sql.ts';

/**
 * Parks events, given by their positions. The first one has failed, the others follow it. If the parked
 * event that they follow was discarded meanwhile, they are marked for a retry. If it still exists, it
 * is locked, so that its discard waits, sees these events, and marks them for a retry.
 */
export const parkEvents = (schema: string): string => `
INSERT INTO "${schema}".parked_events (
  consumer, generation, position, event_id, aggregate_type, aggregate_id, error, failures, failed_at,
  retrying
)
SELECT
  $1, $2, e.position, e.event_id, g.type, g.id, f.error, coalesce(f.failures, 0),
  CASE WHEN f.error IS NOT NULL THEN clock_timestamp() END,
  f.error IS NULL AND b.position IS NULL
FROM "${schema}".domain_events AS e
JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
LEFT JOIN (SELECT $4::text AS error, $5::integer AS failures) AS f ON e.position = ($3::bigint[])[1]
-- One look into the index for each: a NOT EXISTS would be planned as a hash of all that is parked.
LEFT JOIN LATERAL (
  SELECT p.position FROM "${schema}".parked_events AS p
  WHERE p.consumer = $1 AND p.generation = $2
    AND p.aggregate_type = g.type AND p.aggregate_id = g.id
  LIMIT 1
  FOR KEY SHARE
) AS b ON true
WHERE e.position = ANY ($3::bigint[])`;

/**
 * Removes a parked event and marks the later ones of its aggregate for a retry, even if they were
 * parked after the retry was requested. Returns whether there are no later ones.
 */
export const unparkEvent = (schema: string): string => `
WITH unparked AS (
  DELETE FROM "${schema}".parked_events AS p
  WHERE p.consumer = $1 AND p.generation = $2 AND p.position = $3
  RETURNING p.aggregate_type, p.aggregate_id
), next AS (
  UPDATE "${schema}".parked_events AS p SET retrying = true
  FROM unparked AS u
  WHERE p.consumer = $1 AND p.generation = $2 AND NOT p.retrying AND p.position <> $3
    AND p.aggregate_type = u.aggregate_type AND p.aggregate_id = u.aggregate_id
)
SELECT NOT EXISTS (
  SELECT FROM "${schema}".parked_events AS p
  WHERE p.consumer = $1 AND p.generation = $2 AND p.position <> $3
    AND p.aggregate_type = u.aggregate_type AND p.aggregate_id = u.aggregate_id
) AS is_last
FROM unparked AS u`;

export const readIsToRetry = (schema: string): string => `
SELECT p.position FROM "${schema}".parked_events AS p
WHERE p.consumer = $1 AND p.generation = $2 AND p.position = $3 AND p.retrying`;

/** The aggregates that have parked events. */
export const readParkedAggregates = (schema: string): string => `
SELECT DISTINCT p.aggregate_type AS type, p.aggregate_id AS id
FROM "${schema}".parked_events AS p
WHERE p.consumer = $1 AND p.generation = $2`;

/** The first event of each aggregate that is to be retried. */
export const readParkedToRetry = (schema: string): string => `
SELECT DISTINCT ON (p.aggregate_type, p.aggregate_id)
  p.position, p.aggregate_type AS type, p.aggregate_id AS id, p.failures
FROM "${schema}".parked_events AS p
WHERE p.consumer = $1 AND p.generation = $2 AND p.retrying
ORDER BY p.aggregate_type, p.aggregate_id, p.position`;

/**
 * Keeps an aggregate parked after another failure of its event, unless that event was discarded
 * meanwhile, which has already requested a retry of the others. The lock on it makes a discard wait.
 */
export const keepParked = (schema: string): string => `
WITH failed AS MATERIALIZED (
  SELECT f.position FROM "${schema}".parked_events AS f
  WHERE f.consumer = $1 AND f.generation = $2 AND f.position = $5
  FOR UPDATE
)
UPDATE "${schema}".parked_events AS p
SET retrying = false,
  error = CASE WHEN p.position = $5 THEN $6 ELSE p.error END,
  failures = CASE WHEN p.position = $5 THEN $7 ELSE p.failures END,
  failed_at = CASE WHEN p.position = $5 THEN clock_timestamp() ELSE p.failed_at END
WHERE p.consumer = $1 AND p.generation = $2 AND p.aggregate_type = $3 AND p.aggregate_id = $4
  AND EXISTS (SELECT FROM failed)`;

/** One row for each aggregate, by the event that failed. */
export const readParked = (schema: string): string => `
SELECT
  p.aggregate_type AS type, p.aggregate_id AS id, min(p.position) AS position, count(*) AS events,
  (pg_catalog.array_agg(p.event_id ORDER BY p.position))[1] AS event_id,
  coalesce((pg_catalog.array_agg(p.error ORDER BY p.position))[1], 'not tried yet') AS error,
  (pg_catalog.array_agg(p.failures ORDER BY p.position))[1] AS failures,
  ${microseconds('coalesce((pg_catalog.array_agg(p.failed_at ORDER BY p.position))[1], clock_timestamp())')}
    AS failed_at,
  bool_or(p.retrying) AS retrying
FROM "${schema}".parked_events AS p
JOIN "${schema}".consumers AS c ON c.name = p.consumer AND c.generation = p.generation
WHERE p.consumer = $1
GROUP BY p.aggregate_type, p.aggregate_id
ORDER BY min(p.position)`;

/** Requests a retry of one aggregate, or, without an aggregate, of all. */
export const retryParked = (schema: string): string => `
UPDATE "${schema}".parked_events AS p SET retrying = true
FROM "${schema}".consumers AS c
WHERE c.name = $1 AND p.consumer = c.name AND p.generation = c.generation
  AND ($2::text IS NULL OR p.aggregate_type = $2 AND p.aggregate_id = $3)
RETURNING p.position`;

/** Waits for a transaction that is parking an event after this event. */
export const lockParked = (schema: string): string => `
SELECT p.position
FROM "${schema}".parked_events AS p
JOIN "${schema}".consumers AS c ON c.name = p.consumer AND c.generation = p.generation
WHERE c.name = $1 AND p.position = $2
FOR UPDATE OF p`;

/** Discards an event, keeps it as skipped, and requests a retry of the later ones. */
export const discardParked = (schema: string): string => `
WITH discarded AS (
  DELETE FROM "${schema}".parked_events AS p
  USING "${schema}".consumers AS c
  WHERE c.name = $1 AND p.consumer = c.name AND p.generation = c.generation AND p.position = $2
  RETURNING p.*
), kept AS (
  INSERT INTO "${schema}".skipped_events (
    consumer, generation, position, event_id, aggregate_type, aggregate_id, cause, reason, error,
    failures, skipped_by
  )
  SELECT
    d.consumer, d.generation, d.position, d.event_id, d.aggregate_type, d.aggregate_id, 'discard',
    coalesce($3, 'discardParked()'), d.error, d.failures, coalesce($4, session_user)
  FROM discarded AS d
), next AS (
  UPDATE "${schema}".parked_events AS p SET retrying = true
  FROM discarded AS d
  WHERE p.consumer = $1 AND p.generation = d.generation AND p.position <> $2
    AND p.aggregate_type = d.aggregate_type AND p.aggregate_id = d.aggregate_id
)
SELECT true AS discarded FROM discarded`;
