import { lastDrawn } from '../schema/fragments/last-drawn.sql.ts';
import { isMarkThere } from '../schema/fragments/log-mark.sql.ts';

const key = 'k.consumer = $1 AND k.generation = $2 AND k.partition = $3';
/**
 * Only the present owner may write. Whatever takes a checkpoint away from its owner clears the owner,
 * and taking a checkpoint raises its fence. If a checkpoint was taken away and taken again, even by the
 * same process, its former holder no longer holds it.
 */
const owned = `${key} AND k.fence = $4 AND k.owner = $5`;

/**
 * Saves progress, but only from the position that the owner knows as saved, and only if the log is the
 * one that the owner has read: it must still have the event ($10 to $14) that was the last up to the
 * new position. Events that are in the log now are never mistaken for those that were read. A sequence
 * that was set back below the events says nothing about them; the renewal of the lease reports it.
 */
const save = (schema: string, settings: string): string => `
WITH log AS MATERIALIZED (
  SELECT
    (
      $6 <= (${lastDrawn(schema)})
      OR $6 <= (SELECT max(e.position) FROM "${schema}".domain_events AS e)
    ) AND ($10::bigint IS NULL OR ${isMarkThere(schema, {
      position: '$10',
      id: '$11::uuid',
      aggregateType: '$12::text',
      aggregateId: '$13::text',
      version: '$14::bigint',
    })}) AS holds${settings}
), saved AS (
  UPDATE "${schema}".checkpoints AS k
  SET position = $6, events_per_second = $8,
    status = CASE k.status WHEN 'replaced' THEN k.status ELSE $7 END, takeovers = 0,
    failures = 0, error = NULL, error_position = NULL, failed_at = NULL,
    (event_position, event_id, event_aggregate_key, event_version) = (
      SELECT k.event_position, k.event_id, k.event_aggregate_key, k.event_version
      WHERE $6 = $9
      UNION ALL
      SELECT $10, $11, g.key, $14
      FROM (SELECT) AS mark
      LEFT JOIN "${schema}".aggregates AS g ON g.id = $13 AND g.type = $12
      WHERE $6 <> $9
    )
  FROM log AS l
  WHERE l.holds AND ${owned} AND k.position = $9
  RETURNING k.position
)
SELECT l.holds, s.position IS NOT NULL AS held
FROM log AS l LEFT JOIN saved AS s ON true`;

/** Saves progress as the last statement of the transaction that made it. */
export const saveCheckpoint = (schema: string): string => save(schema, '');

/**
 * Saves progress that changes nothing else in this database. It need not wait for the disk: after a
 * crash of the server, the last events are delivered again, which is allowed.
 */
export const saveCheckpointSoon = (schema: string): string =>
  save(schema, `, set_config('synchronous_commit', 'off', true)`);

/**
 * Stores a failure. A checkpoint that stops is released, and so is the generation that it was to
 * replace.
 */
export const failCheckpoint = (schema: string): string => `
WITH failed AS (
  UPDATE "${schema}".checkpoints AS k
  SET status = CASE WHEN k.status = 'replaced' AND $6 = 'retrying' THEN k.status ELSE $6 END,
    error = $7, error_position = $8,
    error_event_id = (SELECT e.event_id FROM "${schema}".domain_events AS e WHERE e.position = $8),
    failures = $9, failed_at = clock_timestamp(),
    owner = CASE $6 WHEN 'stopped' THEN NULL ELSE k.owner END
  WHERE ${owned}
  RETURNING k.status
), halted AS (
  UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
  WHERE k.consumer = $1 AND k.generation <> $2 AND k.status = 'replaced'
    AND EXISTS (SELECT FROM failed AS f WHERE f.status = 'stopped')
)
SELECT true AS held FROM failed`;

/** Releases single checkpoints, given by parallel arrays. */
export const releaseCheckpoints = (schema: string): string => `
UPDATE "${schema}".checkpoints AS k
SET owner = NULL, takeovers = 0,
  status = CASE k.status WHEN 'replaced' THEN k.status ELSE 'waiting' END
FROM ROWS FROM (
  pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::integer[]), pg_catalog.unnest($4::integer[])
) AS r (consumer, generation, partition)
WHERE k.consumer = r.consumer AND k.generation = r.generation AND k.partition = r.partition
  AND k.owner = $1`;

/** Releases all checkpoints that a process holds, and ends its lease. */
export const releaseProcess = (schema: string): string => `
WITH gone AS (
  DELETE FROM "${schema}".consumer_processes AS p WHERE p.owner = $1
)
UPDATE "${schema}".checkpoints AS k
SET owner = NULL, takeovers = 0,
  status = CASE k.status WHEN 'replaced' THEN k.status ELSE 'waiting' END
WHERE k.owner = $1`;

/** Sets time limits for a transaction, so that the database ends it even if its client is frozen. */
export const boundTransaction = `
SELECT
  set_config('statement_timeout', $1, true),
  -- A little later than the client gives up by itself, which leaves the connection usable.
  set_config('idle_in_transaction_session_timeout', ($1::integer + 1000)::text, true)`;
