import { microseconds } from '../fragments/microseconds.sql.ts';
import { plannedOnce } from '../fragments/planned-once.sql.ts';
import { pinSearchPath } from '../search-path.sql.ts';
import { storedBytes } from '../fragments/stored-bytes.sql.ts';

/**
 * Reads one page of the events of an aggregate: after a version, or backward before a version, where 0
 * means the end.
 *
 * The page ends after p_limit events or p_bytes, but has at least one event if there is any, so the
 * memory for a page does not depend on the size of events. An event beyond p_last, the aggregate's
 * version, was never appended.
 */
export const readAggregatePage = (schema: string): string => {
  const events = (range: string, order: string): string => `
    FOR
      "position", event_id, version, type, revision, payload, binary_payload, metadata, recorded_at, v_size
    IN
      SELECT
        e.position, e.event_id, e.version, e.type, e.revision, e.payload, e.binary_payload, e.metadata,
        ${microseconds('e.recorded_at')}, ${storedBytes('e')}
      FROM "${schema}".domain_events AS e
      WHERE e.aggregate_key = p_key AND e.version <= p_last AND ${range}
      ORDER BY e.version ${order}
      LIMIT p_limit
    LOOP
      RETURN NEXT;
      v_bytes := v_bytes + v_size;
      EXIT WHEN v_bytes >= p_bytes;
    END LOOP;`;

  return `
CREATE FUNCTION "${schema}".read_aggregate_page(
  p_key bigint, p_last bigint, p_after bigint, p_limit integer, p_bytes integer, p_backward boolean
) RETURNS TABLE (
  "position" bigint, event_id uuid, version bigint, type text, revision integer, payload jsonb,
  binary_payload bytea, metadata jsonb, recorded_at bigint
)
LANGUAGE plpgsql
-- At the moment of the statement that asks, which knows the version of the aggregate too.
STABLE
${pinSearchPath}
${plannedOnce}
AS $function$
#variable_conflict use_column
DECLARE
  v_size integer;
  v_bytes bigint := 0;
BEGIN
  IF p_backward THEN${events('e.version < CASE p_after WHEN 0 THEN 9007199254740992 ELSE p_after END', 'DESC')}
  ELSE${events('e.version > p_after', 'ASC')}
  END IF;
END
$function$;
`;
};

/**
 * Reads such a page with the aggregate's version: $1 type, $2 id, $3 after, $4 limit, $5 bytes, $6
 * backward.
 *
 * For an aggregate without events after that, it returns one row with the current version alone; for an
 * unknown aggregate, no row. Needs no horizon: the row lock of the aggregate commits its versions in
 * order.
 */
export const pageOfAggregate = (schema: string): string => `
SELECT g.version AS current_version, g.removed_version, p.*
FROM "${schema}".aggregates AS g
LEFT JOIN LATERAL "${schema}".read_aggregate_page(g.key, g.version, $3, $4, $5, $6) AS p ON true
WHERE g.type = $1 AND g.id = $2`;
