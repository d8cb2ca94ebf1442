/** Reads the places where events are, or were before they were removed: $1 their ids. */
export const readPlaces = (schema: string): string => `
SELECT e.event_id, g.type AS aggregate_type, g.id AS aggregate_id, e.version, e.position, e.removed
FROM (
  SELECT d.event_id, d.aggregate_key, d.version, d.position, false AS removed
  FROM "${schema}".domain_events AS d
  WHERE d.event_id = ANY ($1::uuid[])
  UNION ALL
  SELECT r.event_id, r.aggregate_key, r.version, r.position, true
  FROM "${schema}".removed_hashes AS r
  WHERE r.event_id = ANY ($1::uuid[])
) AS e
JOIN "${schema}".aggregates AS g ON g.key = e.aggregate_key`;
