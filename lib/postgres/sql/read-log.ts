import { appendsInFlight } from './appends-in-flight.ts';
import { microseconds } from './microseconds.ts';
import { pinSearchPath } from './search-path.ts';

/**
 * One page of the log strictly after a position, up to the horizon: no event that can be read here
 * will ever be followed by a lower one.
 *
 * Every row repeats the head, the last position that can be read now; a page without events is one
 * row with the head alone. Backward, a page ends before p_after, or at the head if that is 0.
 */
export const readLog = (schema: string): string => {
  const page = (range: string, order: string): string => `
    RETURN QUERY
    SELECT
      v_head, e.position, e.event_id, g.type::text, g.id::text, e.version::bigint, e.type::text,
      e.revision::integer, e.payload::jsonb, e.binary_payload, e.metadata::jsonb,
      ${microseconds('e.recorded_at')}
    FROM "${schema}".domain_events AS e
    JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
    WHERE ${range} AND e.position <= v_horizon
      AND (p_types IS NULL OR e.type = ANY (p_types))
      AND (p_aggregate_types IS NULL OR g.type = ANY (p_aggregate_types))
    ORDER BY e.position ${order}
    LIMIT p_limit;`;

  return `
CREATE FUNCTION "${schema}".read_log(
  p_after bigint,
  p_limit integer,
  p_types text[],
  p_aggregate_types text[],
  p_backward boolean
) RETURNS TABLE (
  head bigint, "position" bigint, event_id uuid, aggregate_type text, aggregate_id text,
  version bigint, type text, revision integer, payload jsonb, binary_payload bytea, metadata jsonb,
  recorded_at bigint
)
LANGUAGE plpgsql
${pinSearchPath}
-- Planned for every page, as one plan for any limit and filter would be a bad one for most. A page is
-- always best read along the index of positions, up to its limit; without statistics of the table the
-- planner would rather sort everything behind the position.
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
-- Up to PostgreSQL 17, what forbids one plan makes the others look dear enough to be compiled first.
SET jit = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $function$
#variable_conflict use_column
DECLARE
  v_last bigint;
  v_horizon bigint;
  v_head bigint;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'The log of "${schema}" cannot be read on a standby: only the primary knows its horizon.'
      USING ERRCODE = 'read_only_sql_transaction', HINT = 'Read from the primary.';
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'The log of "${schema}" cannot be read at isolation level %.',
      current_setting('transaction_isolation')
      USING ERRCODE = 'active_sql_transaction',
        HINT = 'Read outside of the transaction, or at READ COMMITTED.';
  END IF;

  -- Statements, each with a fresh snapshot, in this order. A writer registers the sequence's
  -- last value under a lock before it draws its positions. So either it is registered, and the
  -- horizon stays below its positions; or it has ended, and the statements after it see its commit; or
  -- it has yet to register, and its positions will be above v_last.
  -- Not pg_sequence_last_value(): to a role without rights on the sequence that is NULL, and the log
  -- would look empty.
  v_last := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM "${schema}".positions AS s);

  SELECT coalesce(min(f.registered), v_last) INTO v_horizon
  FROM (${appendsInFlight(schema, 'v_last')}
  ) AS f;

  v_head := coalesce(
    (SELECT max(e.position) FROM "${schema}".domain_events AS e WHERE e.position <= v_horizon), 0
  );
  IF p_backward THEN${page('(p_after = 0 OR e.position < p_after)', 'DESC')}
  ELSE
    -- A writer that was held up between reading the sequence and taking its lock may bring the horizon
    -- back behind what readers have passed. Its positions are greater all the same: nobody goes back.
    v_head := greatest(v_head, least(p_after, v_last));
    ${page('e.position > p_after', 'ASC').trimStart()}
  END IF;
  IF NOT FOUND THEN
    head := v_head;
    RETURN NEXT;
  END IF;
END
$function$;
`;
};

/** The last position that can be read now. */
export const readEnd = (schema: string): string =>
  `SELECT l.head FROM "${schema}".read_log(0, 0, NULL, NULL, false) AS l`;

/** The last position drawn, whether or not the event can be read yet. */
export const readLastPosition = (schema: string): string =>
  `SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END AS last FROM "${schema}".positions AS s`;
