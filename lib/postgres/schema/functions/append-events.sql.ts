import { checkAppendCall, refuseCall } from '../fragments/check-append-call.sql.ts';
import { commitDurably } from '../fragments/durable-commit.sql.ts';
import { lockRows } from '../fragments/lock-rows.sql.ts';
import { microseconds } from '../fragments/microseconds.sql.ts';
import { plannedOnce } from '../fragments/planned-once.sql.ts';
import { registerInFlight } from '../fragments/register-in-flight.sql.ts';
import { withOwnersRights } from '../fragments/with-owners-rights.sql.ts';

/**
 * Writes one or many appends in one call and returns one outcome row per append, in order. Expected
 * conflicts are rows, never exceptions: neighbours and a caller's transaction are not affected.
 * Outcomes: ok · duplicate · wrong_version · corrupt_duplicate · busy (held elsewhere, no wait).
 *
 * Each aggregate comes once, in four parallel arrays; appends point at aggregates, events at appends. A
 * planned version is that of a new aggregate if all its appends succeed, or 0 if none may create it; it
 * is expected to be new if its first append says so. Expected versions: -1 any, -2 exists, else exact.
 *
 * The application's role may call it by hand: a call that this library would not send is refused, with
 * SQLSTATE 22023 or by a constraint, or writes what a regular append could write.
 *
 * Payloads and metadata are JSON texts separated by U+001F, which JSON never contains: in an array, the
 * driver would escape every quote. Binaries are '\\x' and hex digits, separated likewise, or NULL for
 * none: an array would depend on `array_nulls`. Duplicates are searched only where there may be one.
 */
export const appendEvents = (schema: string): string => `
CREATE FUNCTION "${schema}".append_events(
  p_aggregate_types text[],
  p_aggregate_ids text[],
  p_planned_versions bigint[],
  p_expected_new boolean[],
  p_append_aggregates integer[],
  p_expected_versions bigint[],
  p_event_appends integer[],
  p_event_ids uuid[],
  p_event_types text[],
  p_event_revisions integer[],
  p_payloads text,
  p_binaries text,
  p_metadata text,
  p_may_repeat boolean,
  p_all_or_nothing boolean,
  p_wait boolean,
  p_lock_timeout_ms integer
) RETURNS TABLE (outcome text, version bigint, positions bigint[], recorded_at bigint)
LANGUAGE plpgsql
${withOwnersRights}
${plannedOnce}
AS $function$
#variable_conflict use_column
DECLARE
  v_aggregates integer := coalesce(cardinality(p_aggregate_ids), 0);
  v_appends integer := coalesce(cardinality(p_append_aggregates), 0);
  v_events integer := coalesce(cardinality(p_event_ids), 0);
  v_held boolean[] := array_fill(false, ARRAY[v_aggregates]);
  v_keys bigint[] := array_fill(0::bigint, ARRAY[v_aggregates]);
  v_versions bigint[] := array_fill(0::bigint, ARRAY[v_aggregates]);
  v_starts bigint[];
  v_stored bigint[] := array_fill(0::bigint, ARRAY[v_aggregates]);
  -- Not looked for before another transaction turns out to have created them. Where a call waits, all are
  -- locked before any is created: the order against deadlocks.
  v_unsought boolean[] := CASE WHEN p_wait THEN v_held ELSE p_expected_new END;
  v_payloads text[] := string_to_array(p_payloads, E'\\x1f');
  v_binaries text[] := string_to_array(p_binaries, E'\\x1f');
  v_metadata text[] := string_to_array(p_metadata, E'\\x1f');
  v_busy integer[] := '{}';
  v_found integer[];
  v_found_keys bigint[];
  v_found_versions bigint[];
  v_distinct integer;
  v_missing integer[];
  v_created bigint[];
  v_new bigint[] := '{}';
  v_counts integer[] := array_fill(0, ARRAY[v_appends]);
  v_outcomes text[] := array_fill('ok'::text, ARRAY[v_appends]);
  v_results bigint[] := array_fill(0::bigint, ARRAY[v_appends]);
  v_version_shifts bigint[] := array_fill(NULL::bigint, ARRAY[v_appends]);
  v_position_shifts integer[] := array_fill(0, ARRAY[v_appends]);
  v_repeats boolean;
  v_repeated_version bigint;
  v_position bigint;
  v_last_positions bigint[];
  v_first integer := 1;
  v_written integer := 0;
  v_duplicates integer := 0;
  v_positions bigint[] := '{}';
  v_last bigint;
  v_setting text;
  v_lock_timeout text;
  v_now timestamptz;
  a integer;
BEGIN
${checkAppendCall}  IF p_lock_timeout_ms IS NOT NULL THEN
    v_lock_timeout := current_setting('lock_timeout');
    v_setting := set_config('lock_timeout', p_lock_timeout_ms::text, true);
  END IF;
  -- A repetition acknowledges what another transaction has committed, perhaps not to the disk yet.
  ${commitDurably('p_lock_timeout_ms IS NOT NULL')}

  -- 1. Hold every aggregate. Its row lock serialises the appends of one aggregate, so versions have
  -- no gap, and an expectation, once checked, stays true until the commit. Rows are locked, and then
  -- created, in the order of type and id, the same in every call, against deadlocks.
  LOOP
    IF false = ANY (v_unsought) THEN
      IF p_wait THEN${lockRows(schema, '')}
      ELSE${lockRows(schema, 'SKIP LOCKED')}
      END IF;
      -- Two places for one aggregate would count its versions twice.
      IF v_distinct < cardinality(v_found) OR v_found_keys && v_new THEN
        ${refuseCall('It names an aggregate twice.')}
      END IF;
      FOR i IN 1 .. coalesce(cardinality(v_found), 0) LOOP
        a := v_found[i];
        v_held[a] := true;
        v_keys[a] := v_found_keys[i];
        v_versions[a] := v_found_versions[i];
        v_stored[a] := v_found_versions[i];
      END LOOP;
    END IF;

    v_missing := '{}';
    FOR i IN 1 .. v_aggregates LOOP
      IF NOT v_held[i] AND p_planned_versions[i] > 0 THEN
        v_missing := v_missing || i;
        v_keys[i] := nextval('"${schema}".aggregates_key_seq');
      END IF;
    END LOOP;
    EXIT WHEN cardinality(v_missing) = 0;

    -- Created at once with the planned version: one row version written instead of two. One that is
    -- there already is left alone: an insert would wait for the transaction that is changing it.
    WITH created AS (
      INSERT INTO "${schema}".aggregates AS g (key, type, id, version)
      SELECT v_keys[m.n], p_aggregate_types[m.n], p_aggregate_ids[m.n], p_planned_versions[m.n]
      FROM unnest(v_missing) AS m (n)
      WHERE NOT EXISTS (
        SELECT FROM "${schema}".aggregates AS g
        WHERE g.type = p_aggregate_types[m.n] AND g.id = p_aggregate_ids[m.n]
      )
      ORDER BY p_aggregate_types[m.n] COLLATE "C", p_aggregate_ids[m.n] COLLATE "C"
      ON CONFLICT (type, id) DO NOTHING
      RETURNING g.key
    )
    SELECT array_agg(created.key) INTO v_created FROM created;
    FOR i IN 1 .. cardinality(v_missing) LOOP
      a := v_missing[i];
      IF cardinality(v_created) = cardinality(v_missing) OR v_keys[a] = ANY (v_created) THEN
        v_held[a] := true;
        v_stored[a] := p_planned_versions[a];
        v_new := v_new || v_keys[a];
      END IF;
    END LOOP;
    -- The others exist by now, created or held by another transaction: look again, or give up.
    EXIT WHEN cardinality(v_created) = cardinality(v_missing)
      OR p_wait IS NOT TRUE AND NOT coalesce(true = ANY (v_unsought), false);
    v_unsought := array_fill(false, ARRAY[v_aggregates]);
  END LOOP;

  -- What is not held after that exists no more than its expectation says, or is busy elsewhere.
  IF p_wait IS NOT TRUE AND false = ANY (v_held) THEN
    SELECT coalesce(array_agg(r.n), '{}') INTO v_busy
    FROM unnest(v_held) WITH ORDINALITY AS r (held, n)
    WHERE NOT r.held AND (
      p_planned_versions[r.n] > 0
      OR EXISTS (
        SELECT FROM "${schema}".aggregates AS g
        WHERE g.type = p_aggregate_types[r.n] AND g.id = p_aggregate_ids[r.n]
      )
    );
  END IF;

  -- 2. Decide, append by append in call order. Looked up after the locks, so that a repeated append
  -- that waited for its first attempt sees what that one wrote.
  v_repeats := p_may_repeat AND (
    EXISTS (SELECT FROM "${schema}".domain_events AS e WHERE e.event_id = ANY (p_event_ids))
    OR EXISTS (SELECT FROM "${schema}".removed_hashes AS r WHERE r.event_id = ANY (p_event_ids))
  );
  v_starts := v_versions;
  FOR i IN 1 .. v_appends LOOP
    a := p_append_aggregates[i];
    v_repeated_version := NULL;
    IF v_repeats AND v_counts[i] > 0 THEN
      -- The same ids, whole, at one place that the expectation allows: a repetition.
      -- v_repeated_version is the version they end at, or 0 if only some of them are there. Removed
      -- events were there too. What the events hold is compared by the caller, which alone can decode
      -- it.
      SELECT CASE
        WHEN count(*) = 0 THEN NULL
        WHEN count(*) = v_counts[i]
          AND bool_and(e.aggregate_key = v_keys[a])
          AND min(e.version - s.n) = max(e.version - s.n)
          AND CASE p_expected_versions[i]
            WHEN -1 THEN true
            WHEN -2 THEN min(e.version - s.n) > 0
            ELSE min(e.version - s.n) = p_expected_versions[i]
          END
        THEN max(e.version)
        ELSE 0
      END, max(e.position)
      INTO v_repeated_version, v_position
      FROM unnest(p_event_ids[v_first : v_first + v_counts[i] - 1])
        WITH ORDINALITY AS s (event_id, n)
      JOIN (
        SELECT d.event_id, d.aggregate_key, d.version, d.position
        FROM "${schema}".domain_events AS d
        UNION ALL
        SELECT r.event_id, r.aggregate_key, r.version, r.position
        FROM "${schema}".removed_hashes AS r
      ) AS e ON e.event_id = s.event_id;
    END IF;

    IF a = ANY (v_busy) THEN
      v_outcomes[i] := 'busy';
    ELSIF v_repeated_version > 0 THEN
      v_outcomes[i] := 'duplicate';
      v_duplicates := v_duplicates + 1;
      v_results[i] := v_repeated_version;
      v_last_positions[i] := v_position;
    ELSIF v_repeated_version = 0 THEN
      v_outcomes[i] := 'corrupt_duplicate';
    ELSIF p_expected_versions[i] >= 0 AND p_expected_versions[i] <> v_versions[a]
      OR p_expected_versions[i] = -2 AND v_versions[a] = 0
    THEN
      v_outcomes[i] := 'wrong_version';
      v_results[i] := v_versions[a];
    ELSE
      v_version_shifts[i] := v_versions[a] - v_first + 1;
      v_position_shifts[i] := v_written - v_first + 1;
      v_versions[a] := v_versions[a] + v_counts[i];
      v_written := v_written + v_counts[i];
      v_results[i] := v_versions[a];
    END IF;
    v_first := v_first + v_counts[i];
  END LOOP;

  -- All or nothing: one refusal, or a repetition of only a part, takes the rest with it.
  IF p_all_or_nothing THEN
    IF v_duplicates > 0 AND v_written > 0 THEN
      v_outcomes := array_replace(v_outcomes, 'duplicate', 'corrupt_duplicate');
    END IF;
    IF v_outcomes && ARRAY['busy', 'wrong_version', 'corrupt_duplicate'] THEN
      v_outcomes := array_replace(v_outcomes, 'ok', 'withdrawn');
      v_versions := v_starts;
      v_written := 0;
    END IF;
  END IF;

  -- 3. Bring the rows of the aggregates in line with what was decided.
  IF v_versions <> v_stored THEN
    DELETE FROM "${schema}".aggregates AS g
    USING unnest(v_keys, v_versions) AS r (key, version)
    WHERE g.key = r.key AND r.version = 0 AND g.key = ANY (v_new);
    UPDATE "${schema}".aggregates AS g
    SET version = r.version
    FROM unnest(v_keys, v_versions, v_stored) AS r (key, version, stored)
    WHERE g.key = r.key AND r.version <> r.stored AND r.version > 0;
  END IF;

  v_now := clock_timestamp();
  IF v_written > 0 THEN
    -- 4. Register as in flight before drawing a position, and after the row locks: a writer that waits
    -- for a row holds back no reader.
    ${registerInFlight(schema)}
    v_positions := ARRAY(SELECT nextval('"${schema}".positions') FROM generate_series(1, v_written));

    -- 5. Write the events.
    INSERT INTO "${schema}".domain_events (
      position, event_id, aggregate_key, version, type, revision, payload, binary_payload, metadata,
      recorded_at
    )
    SELECT
      v_positions[v_position_shifts[e.append] + e.n], p_event_ids[e.n],
      v_keys[p_append_aggregates[e.append]], v_version_shifts[e.append] + e.n,
      p_event_types[e.n], p_event_revisions[e.n], v_payloads[e.n]::jsonb,
      nullif(v_binaries[e.n], '')::bytea, v_metadata[e.n]::jsonb, v_now
    FROM (SELECT n, p_event_appends[n] AS append FROM generate_series(1, v_events) AS n) AS e
    WHERE v_outcomes[e.append] = 'ok';
  END IF;

  -- What follows in the transaction, a projection say, waits as it would have without this call.
  IF p_lock_timeout_ms IS NOT NULL THEN
    v_setting := set_config('lock_timeout', v_lock_timeout, true);
  END IF;

  v_first := 1;
  FOR i IN 1 .. v_appends LOOP
    outcome := v_outcomes[i];
    version := v_results[i];
    positions := '{}';
    IF outcome = 'ok' THEN
      positions := v_positions[v_position_shifts[i] + v_first : v_position_shifts[i] + v_first + v_counts[i] - 1];
    ELSIF outcome = 'duplicate' THEN
      positions := ARRAY[v_last_positions[i]];
    END IF;
    recorded_at := ${microseconds('v_now')};
    RETURN NEXT;
    v_first := v_first + v_counts[i];
  END LOOP;
END
$function$;
`;
