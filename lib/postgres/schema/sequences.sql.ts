import { lastDrawn } from './fragments/last-drawn.sql.ts';

/** The definition of the sequence of positions, as CREATE and ALTER SEQUENCE take it. */
export const positionsDefinition =
  'INCREMENT BY 1 MINVALUE 1 MAXVALUE 9007199254740991 CACHE 1 NO CYCLE';

/**
 * Reads the store's sequences: the last number that each has drawn, the greatest number in use, and the
 * definition of the sequence of positions.
 *
 * A position is in use if an event is or was there, or if a consumer has reached it: consumers never
 * see an event whose position is drawn below it. The numbers in use are read before the sequences, so
 * that no number drawn meanwhile looks greater.
 */
export const readSequences = (schema: string): string => `
WITH used AS MATERIALIZED (
  SELECT
    greatest(
      (SELECT max(e.position) FROM "${schema}".domain_events AS e),
      (SELECT max(r.position) FROM "${schema}".removed_hashes AS r),
      (SELECT max(k.position) FROM "${schema}".checkpoints AS k),
      0
    ) AS position,
    (SELECT coalesce(max(g.key), 0) FROM "${schema}".aggregates AS g) AS key
)
SELECT
  u.position AS greatest_position, u.key AS greatest_key, l.last_position, l.last_key,
  q.seqincrement AS increment, q.seqcache AS cache, q.seqmax AS max, q.seqmin AS min, q.seqcycle AS cycles
FROM used AS u
CROSS JOIN LATERAL (
  SELECT
    (${lastDrawn(schema)}) AS last_position,
    (${lastDrawn(schema, 'aggregates_key_seq')}) AS last_key
  WHERE u.position >= 0
) AS l
JOIN pg_sequence AS q ON q.seqrelid = '"${schema}".positions'::regclass`;

/**
 * Waits for the open appends, and keeps others from drawing a number until the transaction ends: each
 * append locks rows of aggregates before it draws.
 */
export const lockAppends = (schema: string): string =>
  `LOCK TABLE "${schema}".aggregates IN EXCLUSIVE MODE`;

/** Restores the definition of the sequence of positions; connections forget the numbers drawn ahead. */
export const redefinePositions = (schema: string): string =>
  `ALTER SEQUENCE "${schema}".positions ${positionsDefinition}`;

/** Raises both sequences to the last number that they must not draw again: $1 position, $2 key. */
export const raiseSequences = (schema: string): string => `
SELECT
  (SELECT setval('"${schema}".positions', greatest(s.last_value, $1::bigint, 1), $1::bigint > 0 OR s.is_called)
    FROM "${schema}".positions AS s),
  (SELECT setval('"${schema}".aggregates_key_seq', greatest(s.last_value, $2::bigint, 1), $2::bigint > 0 OR s.is_called)
    FROM "${schema}".aggregates_key_seq AS s)`;
