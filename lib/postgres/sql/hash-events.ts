import { eventHash } from './event-hash.ts';

/**
 * What a hash chain is made with; the triggers that call it are there only where it is switched on.
 *
 * Of one append, later events see those before: a BEFORE ROW trigger is shown what its statement has
 * inserted so far, and an append inserts in the order of versions. The functions need no rights and no
 * settings of their own: those that write and remove events lend them theirs.
 */
export const hashEvents = (schema: string): string => `
CREATE FUNCTION "${schema}".hash_event() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
  NEW.hash := (
    SELECT ${eventHash('NEW', { previous: 'p.hash', aggregate: 'g' })}
    FROM "${schema}".aggregates AS g
    LEFT JOIN "${schema}".domain_events AS p
      ON p.aggregate_key = g.key AND p.version = NEW.version - 1
    WHERE g.key = NEW.aggregate_key
  );
  RETURN NEW;
END
$function$;

-- The hashes of removed events, without which the anchors signed over them could not be checked.
CREATE TABLE "${schema}".removed_hashes (
  position bigint CONSTRAINT removed_hashes_pkey PRIMARY KEY,
  aggregate_key bigint NOT NULL,
  version bigint NOT NULL,
  hash bytea
);

CREATE FUNCTION "${schema}".keep_removed_hash() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
  INSERT INTO "${schema}".removed_hashes (position, aggregate_key, version, hash)
  VALUES (OLD.position, OLD.aggregate_key, OLD.version, OLD.hash);
  RETURN NULL;
END
$function$;
`;
