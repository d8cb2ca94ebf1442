import { pinSearchPath } from '../search-path.sql.ts';

/**
 * Registers a consumer with this number of partitions, and lets a stopped consumer try again. Returns
 * the kind with which it is registered. A consumer without hooks has no read model to prepare.
 *
 * A changed number of partitions is only recorded: the owners of the old partitions finish their
 * current work first, see `change_partitions`.
 */
export const registerConsumer = (schema: string): string => `
CREATE FUNCTION "${schema}".register_consumer(
  p_name text, p_kind text, p_partitions integer, p_from_now boolean, p_has_hooks boolean DEFAULT true,
  p_latest_start bigint DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
DECLARE
  v_kind text;
BEGIN
  LOOP
    INSERT INTO "${schema}".consumers (
      name, kind, partitions, generation, next_generation, prepared_generation
    )
    VALUES (
      p_name, p_kind, p_partitions,
      CASE p_kind WHEN 'inline-projection' THEN 0 ELSE 1 END,
      CASE p_kind WHEN 'inline-projection' THEN 1 END,
      CASE WHEN p_has_hooks THEN 0 ELSE 1 END
    )
    ON CONFLICT (name) DO NOTHING;
    IF FOUND THEN
      INSERT INTO "${schema}".checkpoints (consumer, generation, partition, position)
      SELECT p_name, 1, n.n, CASE
        WHEN p_from_now THEN LEAST(
          (SELECT l.head FROM "${schema}".read_log(0, 0, NULL, NULL, false) AS l), p_latest_start
        )
        ELSE 0
      END
      FROM generate_series(0, p_partitions - 1) AS n (n);
      RETURN p_kind;
    END IF;
    -- Serializes with forget_consumer: either that sees the process which registers the consumer here,
    -- or the consumer is gone after the wait, and a new one.
    SELECT c.kind INTO v_kind FROM "${schema}".consumers AS c WHERE c.name = p_name FOR KEY SHARE;
    EXIT WHEN FOUND;
  END LOOP;

  IF v_kind = p_kind THEN
    UPDATE "${schema}".consumers AS c SET partitions = p_partitions
    WHERE c.name = p_name AND c.partitions <> p_partitions;
    UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
    WHERE k.consumer = p_name AND k.status = 'stopped';
  END IF;
  RETURN v_kind;
END
$function$;
`;

/**
 * Registers the consumers of a process in one call, and begins its lease. The consumers are registered
 * in the order of their names, so that processes that start together lock their rows in the same order.
 */
export const registerConsumers = (schema: string): string => `
WITH process AS (
  INSERT INTO "${schema}".consumer_processes AS p (
    owner, consumers, is_running, lease_ms, lease_expires_at
  )
  SELECT $6, $1, false, $7, clock_timestamp() + $7::integer * interval '1 millisecond'
  WHERE $6::text IS NOT NULL
)
SELECT
  n.name,
  "${schema}".register_consumer(n.name, n.kind, n.partitions, n.from_now, n.has_hooks, $8) AS kind
FROM (
  SELECT *
  FROM unnest($1::text[], $2::text[], $3::integer[], $4::boolean[], $5::boolean[])
    AS u (name, kind, partitions, from_now, has_hooks)
  ORDER BY u.name
) AS n`;

/** Lists which of these consumers have no read model yet for the generation in use. */
export const readUnprepared = (schema: string): string => `
SELECT c.name
FROM "${schema}".consumers AS c
WHERE c.name = ANY ($1) AND c.prepared_generation < c.generation`;
