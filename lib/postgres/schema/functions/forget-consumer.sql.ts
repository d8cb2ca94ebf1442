import { cutLeases } from '../fragments/leases.sql.ts';
import { withOwnersRights } from '../fragments/with-owners-rights.sql.ts';

/**
 * Removes a consumer with its checkpoints and its parked events, which are kept as skipped. If
 * processes run the consumer, it removes nothing and returns them; it returns NULL if there is no such
 * consumer.
 *
 * The application's role has no right to delete a consumer, because without its checkpoint a projection
 * counts every event again. This function runs with the rights of the owner, and deletes only this one.
 */
export const forgetConsumer = (schema: string): string => `
CREATE FUNCTION "${schema}".forget_consumer(p_consumer text, p_reason text, p_by text) RETURNS text
LANGUAGE plpgsql
${withOwnersRights}
AS $function$
DECLARE
  v_owners text;
BEGIN
  -- A process that registers the consumer waits here, and makes a new one.
  PERFORM FROM "${schema}".consumers AS c WHERE c.name = p_consumer FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
${cutLeases(schema)};

  v_owners := (
    SELECT coalesce(string_agg(p.owner, ', ' ORDER BY p.owner), '')
    FROM "${schema}".consumer_processes AS p
    WHERE p.lease_expires_at >= clock_timestamp() AND (
      p_consumer = ANY (p.consumers)
      OR EXISTS (
        SELECT FROM "${schema}".checkpoints AS k WHERE k.consumer = p_consumer AND k.owner = p.owner
      )
    )
  );
  IF v_owners <> '' THEN
    RETURN v_owners;
  END IF;

  INSERT INTO "${schema}".skipped_events (
    consumer, generation, position, event_id, aggregate_type, aggregate_id, cause, reason, error,
    failures, skipped_by
  )
  SELECT
    p.consumer, p.generation, p.position, p.event_id, p.aggregate_type, p.aggregate_id, 'forget',
    coalesce(p_reason, 'forget()'), p.error, p.failures, coalesce(p_by, session_user)
  FROM "${schema}".parked_events AS p
  WHERE p.consumer = p_consumer
  ORDER BY p.generation, p.position;

  DELETE FROM "${schema}".consumers AS c WHERE c.name = p_consumer;
  RETURN v_owners;
END
$function$;
REVOKE ALL ON FUNCTION "${schema}".forget_consumer FROM PUBLIC;
`;
