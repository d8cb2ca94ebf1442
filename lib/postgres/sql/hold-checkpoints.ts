/**
 * Says that a process runs these consumers, renews its leases, takes free checkpoints up to its fair
 * share, and answers all that it holds.
 *
 * A lease is a row, not a lock of the session: it survives a pooler, and runs out by the clock of the
 * database when its owner is frozen. Whoever takes one raises its fence, and the checkpoint commits
 * for the fence alone, so an owner that was taken for dead can wake up and do no harm. A checkpoint
 * that somebody is just committing is locked, and skipped here: nobody waits.
 *
 * Where the number of partitions is to change, the old ones are unwanted and nobody takes them up,
 * until none is held and `change_partitions` can deal out the new ones.
 */
export const holdCheckpoints = (schema: string): string => `
CREATE FUNCTION "${schema}".hold_checkpoints(
  p_owner text, p_consumers text[], p_lease_ms integer, p_channel text
) RETURNS TABLE (
  consumer text, generation integer, "partition" integer, partitions bigint, fence bigint,
  "position" bigint, finished jsonb, replayed jsonb, takeovers integer, unwanted boolean,
  diverged boolean, retry_parked boolean, is_rebuild boolean, events_per_second integer,
  lease_left_ms double precision
)
LANGUAGE plpgsql
AS $function$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_until timestamptz := v_now + p_lease_ms * interval '1 millisecond';
  v_last bigint;
  v_share record;
BEGIN
  INSERT INTO "${schema}".consumer_processes AS p (consumer, owner, seen_until)
  SELECT c.name, p_owner, v_until FROM "${schema}".consumers AS c
  WHERE c.name = ANY (p_consumers) ORDER BY c.name
  ON CONFLICT (consumer, owner) DO UPDATE SET seen_until = v_until;

  DELETE FROM "${schema}".consumer_processes AS p
  WHERE (p.consumer, p.owner) IN (
    SELECT g.consumer, g.owner FROM "${schema}".consumer_processes AS g
    WHERE g.seen_until < v_now - interval '1 hour'
    FOR UPDATE SKIP LOCKED
  );

  UPDATE "${schema}".checkpoints AS k SET lease_expires_at = v_until
  WHERE (k.consumer, k.generation, k.partition) IN (
    SELECT m.consumer, m.generation, m.partition FROM "${schema}".checkpoints AS m
    WHERE m.owner = p_owner
    FOR UPDATE SKIP LOCKED
  );

  PERFORM "${schema}".change_partitions(c.name, p_channel)
  FROM "${schema}".consumers AS c
  WHERE c.name = ANY (p_consumers) AND c.partitions <> ANY (
    SELECT count(*) FROM "${schema}".checkpoints AS k WHERE k.consumer = c.name GROUP BY k.generation
  );

  FOR v_share IN
    SELECT
      k.consumer, k.generation,
      ceil(count(*)::numeric / greatest(1, (
        SELECT count(*) FROM "${schema}".consumer_processes AS p
        WHERE p.consumer = k.consumer AND p.seen_until >= v_now
      ))) - count(*) FILTER (WHERE k.owner = p_owner) AS missing
    FROM "${schema}".checkpoints AS k
    JOIN "${schema}".consumers AS c ON c.name = k.consumer
    WHERE k.consumer = ANY (p_consumers) AND NOT c.paused
      AND NOT (c.kind = 'inline-projection' AND k.generation = c.generation)
    GROUP BY k.consumer, k.generation, c.partitions
    HAVING count(*) = c.partitions AND bool_or(
      k.status NOT IN ('stopped', 'replaced')
      AND (k.owner IS NULL OR k.lease_expires_at < v_now AND k.owner <> p_owner)
    )
    ORDER BY k.consumer, k.generation
  LOOP
    UPDATE "${schema}".checkpoints AS k
    SET owner = p_owner, lease_expires_at = v_until, fence = k.fence + 1, status = 'catching-up',
      -- One that was let go is free; one that was lost may be what ends its owners.
      takeovers = CASE WHEN k.owner IS NULL THEN 0 ELSE k.takeovers + 1 END
    WHERE (k.consumer, k.generation, k.partition) IN (
      SELECT f.consumer, f.generation, f.partition FROM "${schema}".checkpoints AS f
      WHERE f.consumer = v_share.consumer AND f.generation = v_share.generation
        AND f.status NOT IN ('stopped', 'replaced')
        AND (f.owner IS NULL OR f.lease_expires_at < v_now AND f.owner <> p_owner)
      ORDER BY f.partition
      LIMIT greatest(0, v_share.missing)
      FOR UPDATE SKIP LOCKED
    );
  END LOOP;

  v_last := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM "${schema}".positions AS s);

  RETURN QUERY
  WITH holdings AS (
    SELECT p.consumer, k.generation, p.owner, count(*) FILTER (WHERE k.owner = p.owner) AS held
    FROM "${schema}".consumer_processes AS p
    JOIN "${schema}".checkpoints AS k ON k.consumer = p.consumer
    WHERE p.consumer = ANY (p_consumers) AND p.seen_until >= v_now
    GROUP BY p.consumer, k.generation, p.owner
  ), loads AS (
    SELECT h.consumer, h.generation, count(*) AS processes, min(h.held) AS least
    FROM holdings AS h GROUP BY h.consumer, h.generation
  ), mine AS (
    SELECT k.*,
      (
        SELECT count(*) FROM "${schema}".checkpoints AS a
        WHERE a.consumer = k.consumer AND a.generation = k.generation
      ) AS partitions,
      count(*) OVER w AS held,
      row_number() OVER (w ORDER BY k.partition DESC) AS place
    FROM "${schema}".checkpoints AS k
    WHERE k.owner = p_owner AND k.consumer = ANY (p_consumers)
    WINDOW w AS (PARTITION BY k.consumer, k.generation)
  )
  SELECT
    m.consumer, m.generation, m.partition, m.partitions, m.fence, m.position, m.finished, m.replayed,
    m.takeovers,
    -- Let go one at a time, if there are more than a fair share, or if somebody has too few.
    c.paused OR m.status = 'replaced' OR m.partitions <> c.partitions OR m.place = 1 AND (
      m.held > ceil(m.partitions::numeric / l.processes)
      OR m.held > m.partitions / l.processes AND l.least < m.partitions / l.processes
    ),
    m.position > v_last OR m.event_id IS NOT NULL
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
    m.generation IS NOT DISTINCT FROM c.next_generation,
    CASE m.generation WHEN c.next_generation THEN c.events_per_second END,
    -- One that was skipped above has less left than was asked for.
    date_part('epoch', m.lease_expires_at - v_now) * 1000
  FROM mine AS m
  JOIN "${schema}".consumers AS c ON c.name = m.consumer
  JOIN loads AS l ON l.consumer = m.consumer AND l.generation = m.generation
  ORDER BY m.consumer, m.generation, m.partition;
END
$function$;
`;
