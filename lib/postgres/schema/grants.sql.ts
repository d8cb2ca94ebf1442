/**
 * Refuses a role for which grants have no effect: the owner of the tables has all rights, as have
 * members of that role and superusers. Rights must not be taken from the owner: functions that run with
 * its rights would break.
 *
 * The owner runs this with any search_path, so every name has its schema and every literal its type:
 * otherwise a better matching function of the application could run with the rights of the owner.
 */
export const refuseOwner = (schema: string, role: string): string => `
DO $$
BEGIN
  IF (
    SELECT pg_catalog.pg_has_role(
      '${role}'::pg_catalog.name, c.relowner, 'MEMBER'::pg_catalog.text
    )
    FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=) '"${schema}".domain_events'::pg_catalog.regclass
  ) THEN
    RAISE EXCEPTION USING
      ERRCODE = 'invalid_grant_operation',
      MESSAGE = 'The role "${role}" is the owner of "${schema}", a member of it, or a superuser: it may do everything anyway.',
      HINT = 'Let the migrations run as one role, and log in as another one.';
  END IF;
END
$$;
`;

/** Revokes every right on the store's objects that the role was granted before. */
export const revokeRights = (schema: string, role: string): string => `
REVOKE ALL ON SCHEMA "${schema}" FROM "${role}";
REVOKE ALL ON
  "${schema}".aggregates, "${schema}".aggregates_key_seq, "${schema}".domain_events,
  "${schema}".removed_hashes, "${schema}".positions, "${schema}".consumers,
  "${schema}".checkpoints, "${schema}".parked_events, "${schema}".read_model_tables,
  "${schema}".skipped_events, "${schema}".consumer_processes
FROM "${role}";
REVOKE ALL ON FUNCTION
  "${schema}".append_event, "${schema}".append_events, "${schema}".read_log,
  "${schema}".read_aggregate_page,
  "${schema}".remove_events, "${schema}".refuse_change, "${schema}".hash_event,
  "${schema}".keep_removed_hash, "${schema}".schema_version,
  "${schema}".register_consumer, "${schema}".change_partitions, "${schema}".hold_checkpoints,
  "${schema}".forget_consumer
FROM "${role}";
`;

/** Grants reading of the log, of single aggregates, and of the status of consumers. */
export const grantReading = (schema: string, role: string): string => `
GRANT USAGE ON SCHEMA "${schema}" TO "${role}";
GRANT SELECT ON
  "${schema}".aggregates, "${schema}".domain_events, "${schema}".removed_hashes,
  "${schema}".positions, "${schema}".aggregates_key_seq, "${schema}".consumers,
  "${schema}".checkpoints, "${schema}".parked_events, "${schema}".read_model_tables,
  "${schema}".skipped_events, "${schema}".consumer_processes
TO "${role}";
GRANT EXECUTE ON FUNCTION "${schema}".schema_version, "${schema}".read_log, "${schema}".read_aggregate_page TO "${role}";
`;

/**
 * Grants appends through functions only, snapshots, which only save time, and the state of consumers.
 */
export const grantWriting = (schema: string, role: string): string => `
GRANT EXECUTE ON FUNCTION "${schema}".append_event, "${schema}".append_events TO "${role}";
GRANT UPDATE (
  snapshot_version, snapshot_revision, snapshot_state, snapshot_binary, snapshot_taken_at, snapshot_hash
) ON "${schema}".aggregates TO "${role}";
GRANT INSERT, UPDATE ON "${schema}".consumers TO "${role}";
GRANT INSERT ON "${schema}".skipped_events TO "${role}";
GRANT INSERT, UPDATE, DELETE ON
  "${schema}".checkpoints, "${schema}".parked_events, "${schema}".read_model_tables,
  "${schema}".consumer_processes
TO "${role}";
GRANT EXECUTE ON FUNCTION
  "${schema}".register_consumer, "${schema}".change_partitions, "${schema}".hold_checkpoints,
  "${schema}".forget_consumer
TO "${role}";
`;

export const grantRemoval = (schema: string, role: string): string => `
GRANT EXECUTE ON FUNCTION "${schema}".remove_events TO "${role}";
`;
