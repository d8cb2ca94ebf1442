import { lastDrawn } from './fragments/last-drawn.sql.ts';
import { pinTransaction } from './search-path.sql.ts';

const hasTrigger = (schema: string): string => `EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = '"${schema}".domain_events'::regclass AND t.tgname = 'domain_events_hash'
  )`;

/**
 * Switches the hash chain on, once.
 *
 * The lock waits for every transaction that has written an event without a hash. The last position
 * drawn by then is therefore the last that may lack a hash; the trigger keeps it as its argument.
 *
 * The owner may run this with any search_path, which is restored afterwards: the transaction may
 * continue.
 */
export const startHashChain = (schema: string): string => `
DO $block$
DECLARE
  v_path pg_catalog.text := pg_catalog.current_setting('search_path'::pg_catalog.text);
  v_last bigint;
BEGIN
  ${pinTransaction};
  IF NOT ${hasTrigger(schema)} THEN
    LOCK TABLE "${schema}".domain_events IN SHARE ROW EXCLUSIVE MODE;
  END IF;
  IF NOT ${hasTrigger(schema)} THEN
    v_last := (${lastDrawn(schema)});
    EXECUTE format(
      'CREATE TRIGGER domain_events_hash BEFORE INSERT ON "${schema}".domain_events
        FOR EACH ROW EXECUTE FUNCTION "${schema}".hash_event(%L)',
      v_last
    );
    CREATE OR REPLACE TRIGGER domain_events_removed_hash AFTER DELETE ON "${schema}".domain_events
      FOR EACH ROW EXECUTE FUNCTION "${schema}".keep_removed_hash();
  END IF;
  PERFORM set_config('search_path', v_path, true);
END
$block$;
`;

/**
 * Reads the position after which every event has a hash; no row if the chain is off. Every name has its
 * schema, because the query may run with any search_path. The argument of a trigger ends in a zero
 * byte.
 */
export const readChainStart = (schema: string): string => `
SELECT pg_catalog.convert_from(
  pg_catalog.substr(t.tgargs, 1, pg_catalog.octet_length(t.tgargs) OPERATOR(pg_catalog.-) 1),
  'UTF8'::pg_catalog.name
) AS start
FROM pg_catalog.pg_trigger AS t
WHERE t.tgrelid OPERATOR(pg_catalog.=) '"${schema}".domain_events'::pg_catalog.regclass
  AND t.tgname OPERATOR(pg_catalog.=) 'domain_events_hash'::pg_catalog.name
  AND t.tgenabled OPERATOR(pg_catalog.=) ANY (ARRAY['O', 'A']::pg_catalog."char"[])`;
