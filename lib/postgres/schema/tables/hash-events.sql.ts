import { eventHash } from '../fragments/chain-hash.sql.ts';
import { pinSearchPath } from '../search-path.sql.ts';

/**
 * Creates what a hash chain needs. The triggers that call the functions exist only once the chain is
 * on.
 *
 * Within one append, later events see earlier ones: a BEFORE ROW trigger sees what its statement has
 * inserted so far, and an append inserts in the order of versions. The functions need no rights of
 * their own: they run with those of the functions that write and remove events.
 */
export const hashEvents = (schema: string): string => `
CREATE FUNCTION "${schema}".hash_event() RETURNS trigger
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
DECLARE
  v_aggregate record;
  v_previous bytea;
BEGIN
  -- Two rows by their keys: a join of the two takes a third longer.
  SELECT g.type, g.id INTO v_aggregate
  FROM "${schema}".aggregates AS g WHERE g.key = NEW.aggregate_key;
  IF NEW.version > 1 THEN
    SELECT p.hash INTO v_previous
    FROM "${schema}".domain_events AS p
    WHERE p.aggregate_key = NEW.aggregate_key AND p.version = NEW.version - 1;
  END IF;
  NEW.hash := ${eventHash('NEW', { previous: 'v_previous', aggregate: 'v_aggregate' })};
  RETURN NEW;
END
$function$;

-- What is kept of removed events: their ids, so that a late repetition is not appended as new, and their
-- hashes, without which the anchors signed over them could not be checked.
CREATE TABLE "${schema}".removed_hashes (
  position bigint CONSTRAINT removed_hashes_pkey PRIMARY KEY,
  event_id uuid NOT NULL,
  aggregate_key bigint NOT NULL,
  version bigint NOT NULL,
  hash bytea
);
CREATE INDEX removed_hashes_event_id ON "${schema}".removed_hashes (event_id);

CREATE FUNCTION "${schema}".keep_removed_hash() RETURNS trigger
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
BEGIN
  INSERT INTO "${schema}".removed_hashes (position, event_id, aggregate_key, version, hash)
  VALUES (OLD.position, OLD.event_id, OLD.aggregate_key, OLD.version, OLD.hash);
  RETURN NULL;
END
$function$;

CREATE TRIGGER domain_events_removed_hash AFTER DELETE ON "${schema}".domain_events
  FOR EACH ROW EXECUTE FUNCTION "${schema}".keep_removed_hash();
`;
