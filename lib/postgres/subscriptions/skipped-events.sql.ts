import { microseconds } from '../schema/fragments/microseconds.sql.ts';

/** Records the event at a position that is skipped by the policy of its consumer. */
export const keepSkippedByPolicy = (schema: string): string => `
INSERT INTO "${schema}".skipped_events (
  consumer, generation, position, event_id, aggregate_type, aggregate_id, cause, reason, error,
  failures, skipped_by
)
SELECT $1, $2, e.position, e.event_id, g.type, g.id, 'policy', 'onFailure: ''skip''', $4, $5, $6
FROM "${schema}".domain_events AS e
JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
WHERE e.position = $3`;

/**
 * The positions of the stopped partitions. Their checkpoints do not change until the transaction ends.
 */
export const lockStopped = (schema: string): string => `
SELECT k.error, k.error_position
FROM "${schema}".checkpoints AS k
WHERE k.consumer = $1 AND k.status = 'stopped'
ORDER BY k.generation, k.partition
FOR NO KEY UPDATE`;

/** Records the event at which a consumer has stopped, once for each stopped generation. */
export const keepSkipped = (schema: string): string => `
INSERT INTO "${schema}".skipped_events (
  consumer, generation, position, event_id, aggregate_type, aggregate_id, cause, reason, error,
  failures, skipped_by
)
SELECT
  k.consumer, k.generation, e.position, e.event_id, g.type, g.id, 'skip', coalesce($3, 'skip()'),
  k.error, k.failures, coalesce($4, session_user)
FROM "${schema}".checkpoints AS k
JOIN "${schema}".domain_events AS e
  ON e.position = k.error_position AND e.event_id = k.error_event_id
JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
WHERE k.consumer = $1 AND k.status = 'stopped' AND k.error_position = $2
RETURNING position`;

/**
 * Moves the checkpoint past that event and starts the consumer again. Everything before the event was
 * finished when the consumer stopped, because it stops at the first event that it cannot finish.
 */
export const passStopped = (schema: string): string => `
UPDATE "${schema}".checkpoints AS k
SET position = k.error_position, status = 'waiting', takeovers = 0, failures = 0,
  error = NULL, error_position = NULL, failed_at = NULL,
  (event_position, event_id, event_aggregate_key, event_version) = (
    SELECT e.position, e.event_id, e.aggregate_key, e.version
    FROM "${schema}".domain_events AS e
    WHERE e.position = k.error_position
  )
WHERE k.consumer = $1 AND k.status = 'stopped' AND k.error_position = $2`;

/** The events that a consumer was not given or has not finished, the last one first. */
export const readSkipped = (schema: string): string => `
SELECT
  s.generation, s.position, s.event_id, s.aggregate_type AS type, s.aggregate_id AS id, s.cause,
  s.reason, s.error, s.failures, s.skipped_by, ${microseconds('s.skipped_at')} AS skipped_at
FROM "${schema}".skipped_events AS s
WHERE s.consumer = $1
ORDER BY s.id DESC
LIMIT $2`;
