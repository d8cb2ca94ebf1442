import { isHeld } from '../schema/fragments/leases.sql.ts';

/**
 * Locks the consumer against all other changes of its generations, and returns its state.
 *
 * The lock does not block rows that refer to the consumer: a batch that parks an event may hold the
 * tables that the change is waiting for.
 */
export const lockConsumer = (schema: string): string => `
SELECT c.kind, c.generation, c.next_generation, c.prepared_generation
FROM "${schema}".consumers AS c
WHERE c.name = $1
FOR NO KEY UPDATE`;

export const readPositions = (schema: string): string => `
SELECT
  k.position, k.status,
  ${isHeld(schema, 'k.owner')} AS held
FROM "${schema}".checkpoints AS k
WHERE k.consumer = $1 AND k.generation = $2
ORDER BY k.partition`;

/** Reads the same, and keeps every owner from committing until the transaction ends. */
export const lockPositions = (schema: string): string => `${readPositions(schema)}
FOR NO KEY UPDATE`;

export const countParked = (schema: string): string => `
SELECT count(*) AS parked
FROM "${schema}".parked_events AS p
WHERE p.consumer = $1 AND p.generation = $2`;

/** The partitions of the generation in use, unless the consumer is an inline projection. */
export const readPositionsInUse = (schema: string): string => `
SELECT k.position
FROM "${schema}".checkpoints AS k
JOIN "${schema}".consumers AS c ON c.name = k.consumer AND c.generation = k.generation
WHERE k.consumer = $1 AND c.kind <> 'inline-projection'
ORDER BY k.partition`;

/** Halts a generation: its owner finishes its current work and releases it, and no process takes it. */
export const haltGeneration = (schema: string): string => `
WITH halted AS (
  UPDATE "${schema}".checkpoints AS k SET status = 'replaced'
  WHERE k.consumer = $1 AND k.generation = $2
)
SELECT pg_notify($3, 'control')`;

/** Lets a halted generation continue. */
export const endHalt = (schema: string): string => `
WITH resumed AS (
  UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
  WHERE k.consumer = $1 AND k.generation = $2 AND k.status = 'replaced'
)
SELECT pg_notify($3, 'control')`;

/**
 * Makes the next generation the one in use. Everything that the former generation had handled counts as
 * replayed, including what it knew as handled before: by partitions of an earlier time, before a reset,
 * or before a rebuild.
 */
export const activateGeneration = (schema: string): string => `
WITH consumer AS (
  UPDATE "${schema}".consumers AS c
  SET generation = c.next_generation, next_generation = NULL, events_per_second = NULL
  WHERE c.name = $1
), former AS (
  SELECT f.replayed || f.finished || $4::jsonb AS covered
  FROM "${schema}".checkpoints AS f
  WHERE f.consumer = $1 AND f.generation <> $2
  ORDER BY f.position
  LIMIT 1
)
UPDATE "${schema}".checkpoints AS k
SET owner = NULL, status = $3,
  replayed = coalesce(
    (
      SELECT pg_catalog.jsonb_agg(m.earlier)
      FROM former AS f
      CROSS JOIN jsonb_array_elements(f.covered) AS m (earlier)
      -- Positions that the checkpoint has passed all say nothing any more.
      WHERE EXISTS (
        SELECT FROM jsonb_array_elements_text(m.earlier -> 'positions') AS p (position)
        WHERE p.position::bigint > k.position
      )
    ),
    '[]'
  )
WHERE k.consumer = $1 AND k.generation = $2`;

export const deleteGeneration = (schema: string): string => `
WITH parked AS (
  DELETE FROM "${schema}".parked_events AS p WHERE p.consumer = $1 AND p.generation = $2
), tables AS (
  DELETE FROM "${schema}".read_model_tables AS r WHERE r.consumer = $1 AND r.generation = $2
)
DELETE FROM "${schema}".checkpoints AS k WHERE k.consumer = $1 AND k.generation = $2`;

export const setPreparedGeneration = (schema: string): string => `
UPDATE "${schema}".consumers AS c SET prepared_generation = $2 WHERE c.name = $1`;

/** Begins the next generation with as many partitions as the one in use. */
export const beginGeneration = (schema: string): string => `
WITH consumer AS (
  UPDATE "${schema}".consumers AS c SET next_generation = $2, events_per_second = $4 WHERE c.name = $1
)
INSERT INTO "${schema}".checkpoints (consumer, generation, partition, position)
SELECT k.consumer, $2, k.partition, $3
FROM "${schema}".checkpoints AS k
JOIN "${schema}".consumers AS c ON c.name = k.consumer AND c.generation = k.generation
WHERE k.consumer = $1`;

/** Ends a rebuild, and lets the generation in use continue if it was halted. */
export const endRebuild = (schema: string): string => `
WITH consumer AS (
  UPDATE "${schema}".consumers AS c SET next_generation = NULL, events_per_second = NULL
  WHERE c.name = $1
)
UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
WHERE k.consumer = $1 AND k.status = 'replaced'`;

/** Moves all partitions of the generation in use to one position; $3 holds their former positions. */
export const resetCheckpoints = (schema: string): string => `
UPDATE "${schema}".checkpoints AS k
SET position = $2, status = 'waiting', owner = NULL,
  takeovers = 0, failures = 0, error = NULL, error_position = NULL, failed_at = NULL,
  finished = '[]', replayed = k.replayed || k.finished || $3::jsonb,
  (event_position, event_id, event_aggregate_key, event_version) = (
    SELECT e.position, e.event_id, e.aggregate_key, e.version
    FROM "${schema}".domain_events AS e
    WHERE e.position <= $2
    ORDER BY e.position DESC
    LIMIT 1
  )
FROM "${schema}".consumers AS c
WHERE c.name = $1 AND k.consumer = c.name AND k.generation = c.generation`;

/** Pauses a consumer, except one that is built for the first time. */
export const pauseConsumer = (schema: string): string => `
UPDATE "${schema}".consumers AS c SET paused = true
WHERE c.name = $1 AND c.generation <> 0
RETURNING c.name`;

/** Ends a pause, and lets stopped partitions try again. */
export const resumeConsumer = (schema: string): string => `
WITH started AS (
  UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
  WHERE k.consumer = $1 AND k.status = 'stopped'
)
UPDATE "${schema}".consumers AS c SET paused = false
WHERE c.name = $1
RETURNING c.name`;
