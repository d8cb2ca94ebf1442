import { pinSearchPath } from '../search-path.sql.ts';

/**
 * Makes the database enforce append-only: events are neither updated nor truncated, and deleted only by
 * `remove_events`, which announces the removal in a setting of its transaction.
 */
export const protectEvents = (schema: string): string => `
CREATE FUNCTION "${schema}".refuse_change() RETURNS trigger
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('event_store.removal', true) = '${schema}' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'Events of "${schema}" are append-only: % refused.', TG_OP
    USING ERRCODE = 'restrict_violation',
      HINT = 'Append a correcting event. To erase an aggregate, call removeEvents.';
END
$function$;

CREATE TRIGGER domain_events_append_only BEFORE UPDATE OR DELETE ON "${schema}".domain_events
  FOR EACH ROW EXECUTE FUNCTION "${schema}".refuse_change();
CREATE TRIGGER domain_events_no_truncate BEFORE TRUNCATE ON "${schema}".domain_events
  FOR EACH STATEMENT EXECUTE FUNCTION "${schema}".refuse_change();
`;
