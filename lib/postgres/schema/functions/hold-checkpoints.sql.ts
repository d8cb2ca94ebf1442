import { lastDrawn } from '../fragments/last-drawn.sql.ts';
import { cutLeases, isHeld } from '../fragments/leases.sql.ts';
import { lostTable } from '../fragments/lost-table.sql.ts';
import { pinSearchPath } from '../search-path.sql.ts';

/**
 * Renews the lease of a process that runs these consumers, takes free checkpoints up to its fair share,
 * and returns all checkpoints that it holds.
 *
 * A lease is a row, not a lock of the session: it works through a pooler, and ends by the clock of the
 * database when its owner is frozen. It is one row for the whole process, so a renewal writes one row
 * however many checkpoints the process holds; the checkpoints refer to the row by their owner. The
 * consumers of a process never change, so they are written once.
 *
 * Taking a checkpoint raises its fence, and only the holder of that fence can commit the checkpoint. An
 * owner whose lease has ended, even because the clock was set forward, therefore does no harm: it
 * commits its current work if no process has taken the checkpoint, and nothing otherwise. A checkpoint
 * that is being committed is locked, and skipped here: no call waits.
 *
 * While the number of partitions is to change, the old partitions are unwanted and no process takes
 * them, until none is held and `change_partitions` can create the new ones.
 */
export const holdCheckpoints = (schema: string): string => `
CREATE FUNCTION "${schema}".hold_checkpoints(
  p_owner text, p_consumers text[], p_lease_ms integer, p_channel text
) RETURNS TABLE (
  consumer text, generation integer, "partition" integer, partitions bigint, fence bigint,
  "position" bigint, finished jsonb, replayed jsonb, takeovers integer, unwanted boolean,
  diverged boolean, retry_parked boolean, lost_table text, is_prepared boolean, is_rebuild boolean,
  events_per_second integer
)
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
#variable_conflict use_column
DECLARE
  v_used bigint;
  v_last bigint;
  v_share record;
BEGIN
  -- A sequence that draws numbers below events, or in blocks, lets consumers pass events that they never
  -- see: no process holds a checkpoint until it is repaired. The greatest position is read before the sequence.
  v_used := coalesce((SELECT max(e.position) FROM "${schema}".domain_events AS e), 0);
  v_last := (${lastDrawn(schema)});
  IF v_used > v_last OR EXISTS (
    SELECT FROM pg_sequence AS q
    WHERE q.seqrelid = '"${schema}".positions'::regclass AND q.seqcache > 1
  ) THEN
    RAISE EXCEPTION 'The sequence "${schema}".positions is at %, and position % is in use, or it has a cache.',
      v_last, v_used
      USING ERRCODE = 'object_not_in_prerequisite_state',
        HINT = 'Start an application with migrations: ''run'' as the owner of the tables: it repairs the sequence.';
  END IF;

  INSERT INTO "${schema}".consumer_processes AS p (
    owner, consumers, is_running, lease_ms, lease_expires_at
  )
  VALUES (
    p_owner, p_consumers, true, p_lease_ms,
    clock_timestamp() + p_lease_ms * interval '1 millisecond'
  )
  ON CONFLICT (owner) DO UPDATE
  SET is_running = true, lease_expires_at = excluded.lease_expires_at;
${cutLeases(schema)};

  -- Nothing refers to them: a checkpoint whose owner has no row is free.
  DELETE FROM "${schema}".consumer_processes AS p
  WHERE p.owner IN (
    SELECT g.owner FROM "${schema}".consumer_processes AS g
    WHERE g.lease_expires_at < clock_timestamp() - g.lease_ms * interval '1 millisecond'
    FOR UPDATE SKIP LOCKED
  );

  PERFORM "${schema}".change_partitions(c.name, p_channel)
  FROM "${schema}".consumers AS c
  WHERE c.name = ANY (p_consumers) AND c.partitions <> ANY (
    SELECT count(*) FROM "${schema}".checkpoints AS k WHERE k.consumer = c.name GROUP BY k.generation
  );

  FOR v_share IN
    WITH alive AS MATERIALIZED (
      SELECT p.owner, p.consumers FROM "${schema}".consumer_processes AS p
      WHERE p.is_running AND p.lease_expires_at >= clock_timestamp()
    ), running AS (
      SELECT r.consumer, count(*) AS processes
      FROM alive AS a
      CROSS JOIN unnest(a.consumers) AS r (consumer)
      GROUP BY r.consumer
    )
    SELECT
      k.consumer, k.generation,
      ceil(count(*)::numeric / r.processes) - count(*) FILTER (WHERE k.owner = p_owner) AS missing
    FROM "${schema}".checkpoints AS k
    JOIN "${schema}".consumers AS c ON c.name = k.consumer
    JOIN running AS r ON r.consumer = k.consumer
    LEFT JOIN alive AS a ON a.owner = k.owner
    WHERE k.consumer = ANY (p_consumers) AND NOT c.paused
      AND NOT (c.kind = 'inline-projection' AND k.generation = c.generation)
    GROUP BY k.consumer, k.generation, c.partitions, r.processes
    HAVING count(*) = c.partitions
      AND bool_or(k.status NOT IN ('stopped', 'replaced') AND a.owner IS NULL)
    ORDER BY k.consumer, k.generation
  LOOP
    UPDATE "${schema}".checkpoints AS k
    SET owner = p_owner, fence = k.fence + 1, status = 'catching-up',
      -- One that was let go is free; one that was lost may be what ends its owners.
      takeovers = CASE WHEN k.owner IS NULL THEN 0 ELSE k.takeovers + 1 END
    WHERE (k.consumer, k.generation, k.partition) IN (
      SELECT f.consumer, f.generation, f.partition FROM "${schema}".checkpoints AS f
      WHERE f.consumer = v_share.consumer AND f.generation = v_share.generation
        AND f.status NOT IN ('stopped', 'replaced')
        AND NOT ${isHeld(schema, 'f.owner')}
      ORDER BY f.partition
      LIMIT greatest(0, v_share.missing)
      FOR UPDATE SKIP LOCKED
    );
  END LOOP;

  RETURN QUERY
  WITH alive AS MATERIALIZED (
    SELECT p.owner, p.consumers FROM "${schema}".consumer_processes AS p
    WHERE p.is_running AND p.lease_expires_at >= clock_timestamp() OR p.owner = p_owner
  ), running AS (
    SELECT r.consumer, count(*) AS processes
    FROM alive AS a
    CROSS JOIN unnest(a.consumers) AS r (consumer)
    GROUP BY r.consumer
  ), holdings AS (
    SELECT
      k.consumer, k.generation, a.owner, count(*) AS held, sum(count(*)) OVER w AS partitions,
      count(a.owner) OVER w AS owners
    FROM "${schema}".checkpoints AS k
    LEFT JOIN alive AS a ON a.owner = k.owner
    WHERE k.consumer = ANY (p_consumers)
    GROUP BY k.consumer, k.generation, a.owner
    WINDOW w AS (PARTITION BY k.consumer, k.generation)
  ), loads AS (
    SELECT
      h.consumer, h.generation, r.processes, h.partitions,
      -- A process that holds none is not among the owners.
      CASE WHEN h.owners < r.processes THEN 0 ELSE min(h.held) FILTER (WHERE h.owner IS NOT NULL) END
        AS least
    FROM holdings AS h
    JOIN running AS r ON r.consumer = h.consumer
    GROUP BY h.consumer, h.generation, r.processes, h.partitions, h.owners
  ), mine AS (
    SELECT
      k.*, count(*) OVER w AS held, row_number() OVER (w ORDER BY k.partition DESC) AS number
    FROM "${schema}".checkpoints AS k
    WHERE k.owner = p_owner AND k.consumer = ANY (p_consumers)
    WINDOW w AS (PARTITION BY k.consumer, k.generation)
  )
  SELECT
    m.consumer, m.generation, m.partition, l.partitions::bigint, m.fence, m.position, m.finished,
    m.replayed, m.takeovers,
    -- Let go one at a time, if there are more than a fair share, or if another process has too few.
    c.paused OR m.status = 'replaced' OR l.partitions <> c.partitions OR m.number = 1 AND (
      m.held > ceil(l.partitions / l.processes)
      OR m.held > div(l.partitions, l.processes) AND l.least < div(l.partitions, l.processes)
    ),
    -- Read here, where it is not older than the checkpoints: a holder may commit progress meanwhile.
    m.position > (
      ${lastDrawn(schema)}
    )
      -- Or the sequence was set back just now, which is no event lost: the next call reports that.
      AND NOT EXISTS (SELECT FROM "${schema}".domain_events AS e WHERE e.position >= m.position)
    OR m.event_id IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM "${schema}".domain_events AS e
        WHERE e.position = m.event_position AND e.event_id = m.event_id
      )
      -- An event that was removed by removeEvents is gone for a good reason.
      AND NOT EXISTS (
        SELECT FROM "${schema}".aggregates AS g
        WHERE g.key = m.event_aggregate_key AND g.removed_version >= m.event_version
      ),
    EXISTS (
      SELECT FROM "${schema}".parked_events AS p
      WHERE p.consumer = m.consumer AND p.generation = m.generation AND p.retrying
    ),
    ${lostTable(schema, 'm.consumer', 'm.generation')},
    c.prepared_generation >= m.generation,
    m.generation IS NOT DISTINCT FROM c.next_generation,
    CASE m.generation WHEN c.next_generation THEN c.events_per_second END
  FROM mine AS m
  JOIN "${schema}".consumers AS c ON c.name = m.consumer
  JOIN loads AS l ON l.consumer = m.consumer AND l.generation = m.generation
  ORDER BY m.consumer, m.generation, m.partition;
END
$function$;
`;
