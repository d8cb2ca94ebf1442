/** Locks the requested rows, in the same order in all calls. */
export const lockRows = (schema: string, onLocked: '' | 'SKIP LOCKED'): string => `
        SELECT array_agg(h.n), array_agg(h.key), array_agg(h.version), count(DISTINCT h.key)
        INTO v_found, v_found_keys, v_found_versions, v_distinct
        FROM (
          SELECT r.n::integer AS n, g.key, g.version
          FROM unnest(v_held) WITH ORDINALITY AS r (held, n)
          JOIN "${schema}".aggregates AS g
            ON g.type = p_aggregate_types[r.n] AND g.id = p_aggregate_ids[r.n]
          WHERE NOT r.held AND NOT v_unsought[r.n]
          ORDER BY g.type, g.id
          FOR NO KEY UPDATE OF g ${onLocked}
        ) AS h;`;
