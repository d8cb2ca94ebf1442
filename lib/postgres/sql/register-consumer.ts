/**
 * Makes a consumer known, with so many partitions, and lets one that has stopped try again. Answers
 * the kind that it is known as.
 *
 * Where the number of partitions has changed, the new ones start at the lowest position of the old
 * ones and remember, in `finished`, how far each old one had come beyond it: nothing is left out and
 * nothing is done twice. A higher fence keeps former owners from committing anything.
 */
export const registerConsumer = (schema: string): string => `
CREATE FUNCTION "${schema}".register_consumer(
  p_name text, p_kind text, p_partitions integer, p_from_now boolean
) RETURNS text
LANGUAGE plpgsql
AS $function$
DECLARE
  v_kind text;
  v_generation integer;
  v_positions bigint[];
  v_fence bigint;
  v_lowest "${schema}".checkpoints%ROWTYPE;
BEGIN
  INSERT INTO "${schema}".consumers (name, kind, generation, next_generation)
  VALUES (
    p_name, p_kind,
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

  -- Of several processes that start at once, one after another looks at the partitions.
  SELECT c.kind INTO v_kind FROM "${schema}".consumers AS c WHERE c.name = p_name FOR UPDATE;
  IF v_kind <> p_kind THEN
    RETURN v_kind;
  END IF;
  UPDATE "${schema}".checkpoints AS k SET status = 'waiting'
  WHERE k.consumer = p_name AND k.status = 'stopped';

  FOR v_generation IN
    SELECT k.generation FROM "${schema}".checkpoints AS k WHERE k.consumer = p_name
    GROUP BY k.generation HAVING count(*) <> p_partitions
  LOOP
    PERFORM FROM "${schema}".checkpoints AS k
    WHERE k.consumer = p_name AND k.generation = v_generation
    ORDER BY k.partition FOR UPDATE;
    SELECT array_agg(k.position ORDER BY k.partition), max(k.fence) INTO v_positions, v_fence
    FROM "${schema}".checkpoints AS k WHERE k.consumer = p_name AND k.generation = v_generation;
    SELECT k.* INTO v_lowest FROM "${schema}".checkpoints AS k
    WHERE k.consumer = p_name AND k.generation = v_generation
    ORDER BY k.position LIMIT 1;

    DELETE FROM "${schema}".checkpoints AS k
    WHERE k.consumer = p_name AND k.generation = v_generation;
    INSERT INTO "${schema}".checkpoints (
      consumer, generation, partition, position, event_position, event_id, event_aggregate_key,
      event_version, finished, replayed, status, fence
    )
    SELECT
      p_name, v_generation, n.n, v_lowest.position, v_lowest.event_position, v_lowest.event_id,
      v_lowest.event_aggregate_key, v_lowest.event_version,
      -- Marks that all lie behind the new start say nothing any more.
      coalesce(
        (
          SELECT jsonb_agg(m.mark)
          FROM jsonb_array_elements(
            v_lowest.finished || jsonb_build_object('positions', to_jsonb(v_positions))
          ) AS m (mark)
          WHERE EXISTS (
            SELECT FROM jsonb_array_elements_text(m.mark -> 'positions') AS p (position)
            WHERE p.position::bigint > v_lowest.position
          )
        ),
        '[]'
      ),
      v_lowest.replayed,
      CASE v_lowest.status WHEN 'replaced' THEN 'replaced' ELSE 'waiting' END,
      v_fence + 1
    FROM generate_series(0, p_partitions - 1) AS n (n);
  END LOOP;
  RETURN v_kind;
END
$function$;
`;
