const hasTrigger = (schema: string): string => `EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid = '"${schema}".domain_events'::regclass AND t.tgname = 'domain_events_hash'
  )`;

/**
 * Switches the hash chain on, once.
 *
 * The lock waits for every transaction that has written an event without a hash. So the last position
 * drawn by then is the last that may have none; the trigger keeps it as its argument.
 */
export const startHashChain = (schema: string): string => `
DO $block$
DECLARE
  v_last bigint;
BEGIN
  IF ${hasTrigger(schema)} THEN
    RETURN;
  END IF;
  LOCK TABLE "${schema}".domain_events IN SHARE ROW EXCLUSIVE MODE;
  IF ${hasTrigger(schema)} THEN
    RETURN;
  END IF;
  SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO v_last
  FROM "${schema}".positions AS s;
  EXECUTE format(
    'CREATE TRIGGER domain_events_hash BEFORE INSERT ON "${schema}".domain_events
      FOR EACH ROW EXECUTE FUNCTION "${schema}".hash_event(%L)',
    v_last
  );
  CREATE OR REPLACE TRIGGER domain_events_removed_hash AFTER DELETE ON "${schema}".domain_events
    FOR EACH ROW EXECUTE FUNCTION "${schema}".keep_removed_hash();
END
$block$;
`;

/** The position behind which every event has a hash; no row if the chain is off. */
export const readChainStart = (schema: string): string => `
SELECT split_part(encode(t.tgargs, 'escape'), E'\\\\', 1)::bigint AS start
FROM pg_trigger AS t
WHERE t.tgrelid = '"${schema}".domain_events'::regclass AND t.tgname = 'domain_events_hash'
  AND t.tgenabled IN ('O', 'A')`;
