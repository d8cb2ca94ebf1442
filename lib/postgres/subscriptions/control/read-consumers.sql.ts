import { lastDrawn } from '../../schema/fragments/last-drawn.sql.ts';
import { isShownAsHeld } from '../../schema/fragments/leases.sql.ts';
import { microseconds } from '../../schema/fragments/microseconds.sql.ts';

// If the lease of the owner has ended, the last status that the owner wrote no longer counts.
const statusNow = (schema: string): string => `CASE
    WHEN k.status IN ('stopped', 'replaced') THEN k.status
    WHEN ${isShownAsHeld(schema, 'k.owner')} THEN k.status
    WHEN c.paused THEN 'paused'
    ELSE 'waiting'
  END`;

/** A row for every checkpoint, with its consumer, the end of the log, and the age of its next event. */
export const readConsumers = (schema: string): string => `
SELECT
  c.name, c.kind, c.generation AS generation_in_use, c.next_generation, c.paused,
  coalesce(a.parked, 0) AS parked,
  k.generation, k.partition, k.position, k.owner,
  k.events_per_second::numeric AS events_per_second, k.error, k.error_position,
  k.failures, ${microseconds('k.failed_at')} AS failed_at,
  ${statusNow(schema)} AS status,
  l.last,
  -- NULL where nothing comes next, though positions may have been drawn.
  CASE
    WHEN n.recorded_at IS NOT NULL
      THEN greatest(0, ${microseconds('clock_timestamp() - n.recorded_at')} / 1000)
  END AS lag_ms
FROM "${schema}".consumers AS c
JOIN "${schema}".checkpoints AS k ON k.consumer = c.name
LEFT JOIN (
  SELECT p.consumer, p.generation, count(*) AS parked FROM "${schema}".parked_events AS p
  GROUP BY p.consumer, p.generation
) AS a ON a.consumer = c.name AND a.generation = c.generation
CROSS JOIN (${lastDrawn(schema)}) AS l (last)
LEFT JOIN LATERAL (
  SELECT e.recorded_at FROM "${schema}".domain_events AS e
  WHERE e.position > k.position
  ORDER BY e.position
  LIMIT 1
) AS n ON true
ORDER BY c.name, k.generation, k.partition`;

/**
 * The positions in use of these consumers; for an inline projection in use, the highest possible one.
 */
export const readReached = (schema: string): string => `
SELECT
  c.name, k.error,
  CASE WHEN c.kind = 'inline-projection' AND c.generation > 0 THEN 9007199254740991 ELSE k.position END
    AS position,
  ${statusNow(schema)} AS status
FROM "${schema}".consumers AS c
JOIN "${schema}".checkpoints AS k ON k.consumer = c.name AND k.generation = greatest(c.generation, 1)
WHERE c.name = ANY ($1)`;
