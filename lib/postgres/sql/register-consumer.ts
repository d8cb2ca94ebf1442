/**
 * Makes a consumer known, with so many partitions, and lets one that has stopped try again. Answers
 * the kind that it is known as.
 *
 * A number of partitions that has changed is only written down: whoever holds one of the old ones
 * finishes what is in hand first, see `change_partitions`.
 */
export const registerConsumer = (schema: string): string => `
CREATE FUNCTION "${schema}".register_consumer(
  p_name text, p_kind text, p_partitions integer, p_from_now boolean
) RETURNS text
LANGUAGE plpgsql
AS $function$
DECLARE
  v_kind text;
BEGIN
  INSERT INTO "${schema}".consumers (name, kind, partitions, generation, next_generation)
  VALUES (
    p_name, p_kind, p_partitions,
    CASE p_kind WHEN 'inline-projection' THEN 0 ELSE 1 END,
    CASE p_kind WHEN 'inline-projection' THEN 1 END
  )
  ON CONFLICT (name) DO NOTHING;
  IF FOUND THEN
    INSERT INTO "${schema}".checkpoints (consumer, generation, partition, position)
    SELECT p_name, 1, n.n, CASE
      WHEN p_from_now THEN (SELECT l.head FROM "${schema}".read_log(0, 0, NULL, NULL, false) AS l)
      ELSE 0
    END
    FROM generate_series(0, p_partitions - 1) AS n (n);
    RETURN p_kind;
  END IF;

  SELECT c.kind INTO v_kind FROM "${schema}".consumers AS c WHERE c.name = p_name;
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
