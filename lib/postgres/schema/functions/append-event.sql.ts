import { commitDurably } from '../fragments/durable-commit.sql.ts';
import { microseconds } from '../fragments/microseconds.sql.ts';
import { plannedOnce } from '../fragments/planned-once.sql.ts';
import { registerInFlight } from '../fragments/register-in-flight.sql.ts';
import { withOwnersRights } from '../fragments/with-owners-rights.sql.ts';

/**
 * Writes one event that was never sent before in one call. This is the most common append, in half the
 * time.
 *
 * Returns its version, its position, and when it was recorded, in microseconds since the epoch. In any
 * unusual case, such as an unexpected version or an aggregate that another transaction holds, it writes
 * nothing and returns null, and `append_events` decides. Because the event was never sent before, the
 * call does not look for an earlier copy; a constraint keeps its id unique all the same.
 *
 * It has as few statements and expressions as possible: PL/pgSQL prepares each of them again in every
 * transaction.
 */
export const appendEvent = (schema: string): string => `
CREATE FUNCTION "${schema}".append_event(
  p_aggregate_type text,
  p_aggregate_id text,
  p_expected_version bigint,
  p_event_id uuid,
  p_event_type text,
  p_event_revision integer,
  p_payload jsonb,
  p_binary bytea,
  p_metadata jsonb,
  p_lock_timeout_ms integer
) RETURNS bigint[]
LANGUAGE plpgsql
${withOwnersRights}
${plannedOnce}
AS $function$
DECLARE
  v_key bigint;
  v_version bigint;
  v_last bigint;
  v_setting text;
  v_written bigint[];
BEGIN
  -- 1. Hold the aggregate, at its next version.
  IF p_expected_version <> 0 THEN
    UPDATE "${schema}".aggregates AS g
    SET version = g.version + 1
    WHERE g.key = (
      SELECT h.key FROM "${schema}".aggregates AS h
      WHERE h.type = p_aggregate_type AND h.id = p_aggregate_id
        AND CASE p_expected_version
          WHEN -1 THEN true
          WHEN -2 THEN h.version > 0
          ELSE h.version = p_expected_version
        END
      FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING g.key, g.version INTO v_key, v_version;
  END IF;
  IF v_key IS NULL AND p_expected_version IN (-1, 0) THEN
    IF p_lock_timeout_ms IS NOT NULL THEN
      v_setting := set_config('lock_timeout', p_lock_timeout_ms::text, true);
    END IF;
    -- One that is there already is left alone: an insert would wait for the transaction that is changing it.
    INSERT INTO "${schema}".aggregates AS g (type, id, version)
    SELECT p_aggregate_type, p_aggregate_id, 1
    WHERE NOT EXISTS (
      SELECT FROM "${schema}".aggregates AS h
      WHERE h.type = p_aggregate_type AND h.id = p_aggregate_id
    )
    ON CONFLICT (type, id) DO NOTHING
    RETURNING g.key, g.version INTO v_key, v_version;
  END IF;
  IF v_key IS NULL THEN
    RETURN NULL;
  END IF;

  -- 2. Register as in flight, and write the event.
  ${commitDurably('p_lock_timeout_ms IS NOT NULL')}
  ${registerInFlight(schema)}
  INSERT INTO "${schema}".domain_events AS e (
    position, event_id, aggregate_key, version, type, revision, payload, binary_payload, metadata,
    recorded_at
  )
  VALUES (
    nextval('"${schema}".positions'), p_event_id, v_key, v_version, p_event_type, p_event_revision,
    p_payload, p_binary, p_metadata, clock_timestamp()
  )
  RETURNING ARRAY[e.version, e.position, ${microseconds('e.recorded_at')}]
  INTO v_written;
  RETURN v_written;
END
$function$;
`;
