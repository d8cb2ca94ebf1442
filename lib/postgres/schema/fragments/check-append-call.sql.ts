export const refuseCall = (reason: string): string =>
  `RAISE EXCEPTION 'append_events was called otherwise than by the event store. ${reason}'
        USING ERRCODE = 'invalid_parameter_value';`;

/** Refuses arrays that do not fit together, and counts the events of each append. */
export const checkAppendCall = `  -- The application may call this by hand. All arrays are read by subscripts from 1 on; those that
  -- begin elsewhere, or have two dimensions, lack the first or the last of them. One expression of few
  -- functions: in every transaction, PL/pgSQL prepares each expression, and checks the right to call each function.
  IF NOT coalesce(
    p_aggregate_types[1] IS NOT NULL AND p_aggregate_types[v_aggregates] IS NOT NULL
    AND p_aggregate_ids[1] IS NOT NULL AND p_aggregate_ids[v_aggregates] IS NOT NULL
    AND p_planned_versions[1] IS NOT NULL AND p_planned_versions[v_aggregates] IS NOT NULL
    AND p_expected_new[1] IS NOT NULL AND p_expected_new[v_aggregates] IS NOT NULL
    AND p_append_aggregates[1] IS NOT NULL AND p_append_aggregates[v_appends] IS NOT NULL
    AND p_expected_versions[1] IS NOT NULL AND p_expected_versions[v_appends] IS NOT NULL
    AND (v_events = 0 OR p_event_appends[1] IS NOT NULL AND p_event_appends[v_events] IS NOT NULL)
    AND 1 <= ALL (p_append_aggregates) AND v_aggregates >= ALL (p_append_aggregates)
    AND 1 <= ALL (p_event_appends) AND v_appends >= ALL (p_event_appends)
    AND -2 <= ALL (p_expected_versions)
    AND cardinality(v_payloads) = v_events AND cardinality(v_metadata) = v_events
    AND coalesce(cardinality(v_binaries), v_events) = v_events,
    false
  ) THEN
    -- A codec of the application's own may write what is no JSON; no neighbour may get a part of it.
    IF cardinality(v_payloads) <> v_events OR cardinality(v_metadata) <> v_events THEN
      RAISE EXCEPTION 'An event was encoded as more than one JSON text.'
        USING ERRCODE = 'invalid_text_representation';
    END IF;
    ${refuseCall('Its arrays do not fit together.')}
  END IF;
  FOR i IN 1 .. v_events LOOP
    IF i > 1 AND p_event_appends[i] < p_event_appends[i - 1] THEN
      ${refuseCall('Its events are not in the order of its appends.')}
    END IF;
    v_counts[p_event_appends[i]] := v_counts[p_event_appends[i]] + 1;
  END LOOP;
`;
