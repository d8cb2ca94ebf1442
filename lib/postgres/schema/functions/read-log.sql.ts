import { lastDrawn } from '../fragments/last-drawn.sql.ts';
import { appendsInFlight } from '../fragments/appends-in-flight.sql.ts';
import { microseconds } from '../fragments/microseconds.sql.ts';
import { pinSearchPath } from '../search-path.sql.ts';
import { isMarkThere } from '../fragments/log-mark.sql.ts';
import { storedBytes } from '../fragments/stored-bytes.sql.ts';

/**
 * Reads one page of the log strictly after a position, up to the horizon: no event at a lower position
 * can appear later.
 *
 * Every row is an event except the last, which describes the page. The page ends after p_limit events,
 * after p_bytes, or, if it is filtered, after p_scan positions, so the cost of a call depends neither
 * on the size of an event nor on how rare its type is. `reached` is where the next page begins,
 * `at_end` whether the page reaches the end, and `head` the last position that can be read now.
 * Backward, a page ends before p_after, or at the head if p_after is 0. A limit of 0 describes the end
 * of the log.
 *
 * The event columns of the last row are those of the last event up to `reached`. Passed with p_after,
 * they prove that the next page continues the same log; if that event is missing, `diverged` is true.
 */
export const readLog = (schema: string): string => {
  const lastUpTo = (position: string): string => `(
      SELECT e.position FROM "${schema}".domain_events AS e
      WHERE e.position <= ${position}
      ORDER BY e.position DESC LIMIT 1
    )`;
  const events = (order: string, bound: string): string => `
    FOR
      "position", event_id, aggregate_type, aggregate_id, version, type, revision, payload,
      binary_payload, metadata, recorded_at, v_size
    IN
      SELECT
        e.position, e.event_id, g.type, g.id, e.version, e.type, e.revision, e.payload,
        e.binary_payload, e.metadata, ${microseconds('e.recorded_at')}, ${storedBytes('e')}
      FROM "${schema}".domain_events AS e
      JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
      WHERE e.position BETWEEN v_from AND v_to
        AND (p_types IS NULL OR e.type = ANY (p_types))
        AND (p_aggregate_types IS NULL OR g.type = ANY (p_aggregate_types))
      ORDER BY e.position ${order}
      LIMIT p_limit
    LOOP
      RETURN NEXT;
      v_found := v_found + 1;
      v_bytes := v_bytes + v_size;
      IF v_found = p_limit OR v_bytes >= p_bytes THEN
        ${bound} := "position";
        EXIT;
      END IF;
    END LOOP;`;

  return `
CREATE FUNCTION "${schema}".read_log(
  p_after bigint,
  p_limit integer,
  p_types text[],
  p_aggregate_types text[],
  p_backward boolean,
  p_scan integer DEFAULT 10000,
  p_bytes integer DEFAULT 4194304,
  p_mark_position bigint DEFAULT NULL,
  p_mark_id uuid DEFAULT NULL,
  p_mark_aggregate_type text DEFAULT NULL,
  p_mark_aggregate_id text DEFAULT NULL,
  p_mark_version bigint DEFAULT NULL
) RETURNS TABLE (
  head bigint, reached bigint, at_end boolean, diverged boolean,
  "position" bigint, event_id uuid, aggregate_type text, aggregate_id text,
  version bigint, type text, revision integer, payload jsonb, binary_payload bytea, metadata jsonb,
  recorded_at bigint
)
LANGUAGE plpgsql
${pinSearchPath}
-- Planned for every page, as one plan for any limit and filter would be a bad one for most. A page is
-- always best read along the index of positions, up to its limit; without statistics of the table the
-- planner would rather sort everything after the position.
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
  -- The positions that the page covers.
  v_from bigint;
  v_to bigint;
  v_size integer;
  v_found integer := 0;
  v_bytes bigint := 0;
  v_is_filtered boolean := p_types IS NOT NULL OR p_aggregate_types IS NOT NULL;
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
  v_last := (${lastDrawn(schema)});

  SELECT coalesce(min(f.registered), v_last) INTO v_horizon
  FROM (${appendsInFlight(schema, 'v_last')}
  ) AS f;

  IF p_mark_id IS NOT NULL AND NOT (${isMarkThere(schema, {
    position: 'p_mark_position',
    id: 'p_mark_id',
    aggregateType: 'p_mark_aggregate_type',
    aggregateId: 'p_mark_aggregate_id',
    version: 'p_mark_version',
  })}) THEN
    diverged := true;
    RETURN NEXT;
    RETURN;
  END IF;

  IF p_backward THEN
    v_head := coalesce(${lastUpTo('v_horizon')}, 0);
    v_to := ${lastUpTo('least(v_horizon, CASE p_after WHEN 0 THEN v_horizon ELSE p_after - 1 END)')};
    v_from := CASE WHEN v_is_filtered THEN v_to - p_scan + 1 ELSE 1 END;${events('DESC', 'v_from')}
    reached := v_from;
    at_end := v_to IS NULL OR ${lastUpTo('v_from - 1')} IS NULL;
    event_id := NULL;
  ELSE
    -- A writer that was held up between reading the sequence and taking its lock may bring the horizon
    -- back below what readers have passed. Its positions are greater all the same: no reader goes back.
    v_head := greatest(coalesce(${lastUpTo('v_horizon')}, 0), least(p_after, v_last));
    v_from := (
      SELECT e.position FROM "${schema}".domain_events AS e
      WHERE e.position > p_after AND e.position <= v_horizon AND p_limit > 0
      ORDER BY e.position LIMIT 1
    );
    -- From the first event on, so that a gap of any width is passed at once.
    v_to := least(v_horizon, CASE WHEN v_is_filtered THEN v_from + p_scan - 1 END);${events('ASC', 'v_to')}
    at_end := v_from IS NULL OR v_to >= v_head;
    reached := CASE WHEN at_end THEN v_head ELSE v_to END;
    IF v_found = 0 OR "position" <> reached THEN
      SELECT e.position, e.event_id, g.type, g.id, e.version
      INTO "position", event_id, aggregate_type, aggregate_id, version
      FROM "${schema}".domain_events AS e
      JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key
      WHERE e.position <= reached
      ORDER BY e.position DESC
      LIMIT 1;
    END IF;
  END IF;
  payload := NULL;
  binary_payload := NULL;
  metadata := NULL;
  head := v_head;
  diverged := false;
  RETURN NEXT;
END
$function$;
`;
};

/** Reads the last position that can be read now. */
export const readEnd = (schema: string): string =>
  `SELECT l.head FROM "${schema}".read_log(0, 0, NULL, NULL, false) AS l`;

/** Reads the last position drawn, whether or not its event can be read yet. */
export const readLastPosition = (schema: string): string => `SELECT (${lastDrawn(schema)}) AS last`;
