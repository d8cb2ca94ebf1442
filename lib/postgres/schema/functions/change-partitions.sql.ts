import { isHeld } from '../fragments/leases.sql.ts';
import { pinSearchPath } from '../search-path.sql.ts';

/**
 * Gives a consumer the number of partitions of its last registration, in each generation of which no
 * process holds a checkpoint now.
 *
 * The new partitions start at the lowest position of the old ones and remember, in `finished`, how far
 * each old one had come beyond it: no event is left out or handled twice. A higher fence keeps an owner
 * whose lease has ended from committing anything. If several processes call it at once, one does the
 * work and none waits; all of them are then notified to take their share.
 */
export const changePartitions = (schema: string): string => `
CREATE FUNCTION "${schema}".change_partitions(p_consumer text, p_channel text) RETURNS void
LANGUAGE plpgsql
${pinSearchPath}
AS $function$
DECLARE
  v_partitions integer;
  v_generation integer;
  v_positions bigint[];
  v_fence bigint;
  v_lowest "${schema}".checkpoints%ROWTYPE;
BEGIN
  SELECT c.partitions INTO v_partitions FROM "${schema}".consumers AS c
  WHERE c.name = p_consumer FOR NO KEY UPDATE SKIP LOCKED;

  FOR v_generation IN
    SELECT k.generation FROM "${schema}".checkpoints AS k WHERE k.consumer = p_consumer
    GROUP BY k.generation HAVING count(*) <> v_partitions
  LOOP
    WITH free AS MATERIALIZED (
      SELECT k.partition, k.position, k.fence FROM "${schema}".checkpoints AS k
      WHERE k.consumer = p_consumer AND k.generation = v_generation
        AND NOT ${isHeld(schema, 'k.owner')}
      ORDER BY k.partition
      FOR UPDATE SKIP LOCKED
    )
    SELECT array_agg(f.position ORDER BY f.partition), max(f.fence) INTO v_positions, v_fence
    FROM free AS f;
    CONTINUE WHEN coalesce(cardinality(v_positions), 0) < (
      SELECT count(*) FROM "${schema}".checkpoints AS k
      WHERE k.consumer = p_consumer AND k.generation = v_generation
    );
    SELECT k.* INTO v_lowest FROM "${schema}".checkpoints AS k
    WHERE k.consumer = p_consumer AND k.generation = v_generation
    ORDER BY k.position LIMIT 1;

    DELETE FROM "${schema}".checkpoints AS k
    WHERE k.consumer = p_consumer AND k.generation = v_generation;
    INSERT INTO "${schema}".checkpoints (
      consumer, generation, partition, position, event_position, event_id, event_aggregate_key,
      event_version, finished, replayed, status, fence
    )
    SELECT
      p_consumer, v_generation, n.n, v_lowest.position, v_lowest.event_position, v_lowest.event_id,
      v_lowest.event_aggregate_key, v_lowest.event_version,
      -- Marks that are all before the new start say nothing any more.
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
    FROM generate_series(0, v_partitions - 1) AS n (n);
    PERFORM pg_notify(p_channel, 'control');
  END LOOP;
END
$function$;
`;
