import { withOwnersRights } from '../fragments/with-owners-rights.sql.ts';

/**
 * Deletes the events and the snapshot of one aggregate; its version stays, so no version is used again.
 */
export const removeEvents = (schema: string): string => `
CREATE FUNCTION "${schema}".remove_events(p_aggregate_type text, p_aggregate_id text) RETURNS bigint
LANGUAGE plpgsql
${withOwnersRights}
AS $function$
DECLARE
  v_key bigint;
  v_removed bigint;
BEGIN
  UPDATE "${schema}".aggregates AS g
  SET removed_version = g.version, snapshot_version = NULL, snapshot_revision = NULL,
    snapshot_state = NULL, snapshot_binary = NULL, snapshot_taken_at = NULL, snapshot_hash = NULL
  WHERE g.type = p_aggregate_type AND g.id = p_aggregate_id
  RETURNING g.key INTO v_key;

  PERFORM set_config('event_store.removal', '${schema}', true);
  DELETE FROM "${schema}".domain_events AS e WHERE e.aggregate_key = v_key;
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  PERFORM set_config('event_store.removal', '', true);
  RETURN v_removed;
END
$function$;
`;
