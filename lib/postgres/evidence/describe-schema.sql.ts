/**
 * Describes a schema, one row for each fact of each object: $1 schema. Run it with a search_path of
 * `pg_catalog` alone, so that names from other schemas are written with their schema.
 */
export const describeSchema = `
WITH here AS (
  SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = $1
), owner AS (
  SELECT c.relowner AS oid FROM pg_class AS c JOIN here ON here.oid = c.relnamespace
  WHERE c.relname = 'domain_events'
), relations AS (
  SELECT c.* FROM pg_class AS c JOIN here ON here.oid = c.relnamespace
), described AS (
  SELECT
    'function ' || p.proname AS object, p.oid,
    ARRAY[
      'arguments', pg_get_function_arguments(p.oid),
      'result', pg_get_function_result(p.oid),
      'language', l.lanname,
      'rights', CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END,
      'settings', (SELECT string_agg(s.setting, '; ' ORDER BY s.setting COLLATE "C") FROM unnest(p.proconfig) AS s (setting)),
      'body', p.prosrc,
      'owner', CASE WHEN p.proowner <> (SELECT owner.oid FROM owner) THEN pg_get_userbyid(p.proowner) END
    ] AS facts
  FROM pg_proc AS p
  JOIN here ON here.oid = p.pronamespace
  JOIN pg_language AS l ON l.oid = p.prolang
  UNION ALL
  SELECT
    'trigger ' || t.tgname, t.oid,
    ARRAY[
      'definition', pg_get_triggerdef(t.oid),
      'state', CASE WHEN t.tgenabled NOT IN ('O', 'A') THEN 'disabled' END
    ]
  FROM pg_trigger AS t
  JOIN relations AS c ON c.oid = t.tgrelid
  WHERE NOT t.tgisinternal
  UNION ALL
  SELECT
    'table ' || c.relname, c.oid,
    ARRAY[
      'columns', (
        SELECT string_agg(
          a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END,
          ', ' ORDER BY a.attname
        )
        FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'constraints', (
        SELECT string_agg(k.conname, ', ' ORDER BY k.conname)
        FROM pg_constraint AS k
        WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.convalidated
      ),
      'kind', CASE WHEN c.relkind <> 'r' OR c.relispartition OR c.relhassubclass THEN c.relkind::text END,
      'rules', (SELECT string_agg(r.rulename, ', ') FROM pg_rewrite AS r WHERE r.ev_class = c.oid),
      'policies', CASE WHEN c.relrowsecurity THEN 'on' END
    ]
  FROM relations AS c
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT
    'domain ' || y.typname, y.oid,
    ARRAY[
      'type', format_type(y.typbasetype, y.typtypmod),
      'constraints', (
        SELECT string_agg(k.conname, ', ' ORDER BY k.conname) FROM pg_constraint AS k
        WHERE k.contypid = y.oid AND k.contype = 'c' AND k.convalidated
      )
    ]
  FROM pg_type AS y JOIN here ON here.oid = y.typnamespace
  WHERE y.typtype = 'd'
  UNION ALL
  SELECT
    'index ' || c.relname, c.oid,
    ARRAY['state', CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'invalid' END]
  FROM relations AS c JOIN pg_index AS i ON i.indexrelid = c.oid
  UNION ALL
  SELECT
    'sequence ' || c.relname, c.oid,
    ARRAY['definition', concat_ws(
      ' ', format_type(q.seqtypid, NULL), q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle
    )]
  FROM relations AS c JOIN pg_sequence AS q ON q.seqrelid = c.oid
)
SELECT d.object, d.facts[n.n * 2 - 1] AS fact, coalesce(d.facts[n.n * 2], '') AS value
FROM described AS d
CROSS JOIN LATERAL generate_series(1, array_length(d.facts, 1) / 2) AS n (n)
ORDER BY d.object, d.oid, n.n`;
