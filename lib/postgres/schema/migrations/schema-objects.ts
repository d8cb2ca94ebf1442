import { migrationStatements } from './statements.ts';

export type ObjectKind =
  'table' | 'sequence' | 'index' | 'domain' | 'function' | 'trigger' | 'constraint';

/** An object that a migration creates: its kind, and its name in the store's schema. */
export interface SchemaObject {
  readonly kind: ObjectKind;
  readonly name: string;
}

const created =
  /CREATE (?:OR REPLACE )?(?:UNIQUE )?(TABLE|SEQUENCE|INDEX|DOMAIN|FUNCTION|TRIGGER) /;
const name = /(?:IF NOT EXISTS )?(?:"[a-z0-9_]+"\.)?([a-z0-9_]+)/;
const creation = new RegExp(created.source + name.source, 'g');

/**
 * Returns the objects that the migrations up to a version create. They are read from the statements
 * themselves, so the list cannot become incomplete. The statements write out all names, those of
 * constraints too.
 */
export function objectsOf(version: number): SchemaObject[] {
  const sql = migrationStatements
    .slice(0, version)
    .flat()
    .map((statements) => statements('s'))
    .join('\n')
    .replace(/--.*$/gm, '')
    // Without the bodies of functions, which create nothing by themselves.
    .replace(/\$(\w+)\$[^]*?\$\1\$/g, '');
  const objects = new Map<string, SchemaObject>();
  const add = (kind: string, found: string): void => {
    const object = { kind: kind.toLowerCase() as ObjectKind, name: found };
    objects.set(nameOf(object), object);
  };
  for (const [, kind, found] of sql.matchAll(creation)) add(kind!, found!);
  for (const [, found] of sql.matchAll(/CONSTRAINT ([a-z0-9_]+)/g)) add('constraint', found!);
  return [...objects.values()];
}

/** Returns the name of an object in a sentence, such as "table domain_events". */
export const nameOf = ({ kind, name: of }: SchemaObject): string => `${kind} ${of}`;

/**
 * Lists the objects in a schema of the kinds that migrations create: $1 is the schema.
 *
 * Every name has its schema, because the owner may run the query with any search_path.
 */
export const readObjects = `
WITH here AS (
  SELECT n.oid FROM pg_catalog.pg_namespace AS n
  WHERE n.nspname OPERATOR(pg_catalog.=) $1
)
SELECT c.relkind::pg_catalog.text AS kind, c.relname::pg_catalog.text AS name
FROM pg_catalog.pg_class AS c JOIN here ON here.oid OPERATOR(pg_catalog.=) c.relnamespace
UNION ALL
SELECT 'function', p.proname::pg_catalog.text
FROM pg_catalog.pg_proc AS p JOIN here ON here.oid OPERATOR(pg_catalog.=) p.pronamespace
UNION ALL
SELECT 'domain', t.typname::pg_catalog.text
FROM pg_catalog.pg_type AS t JOIN here ON here.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
UNION ALL
SELECT 'constraint', k.conname::pg_catalog.text
FROM pg_catalog.pg_constraint AS k JOIN here ON here.oid OPERATOR(pg_catalog.=) k.connamespace
UNION ALL
SELECT 'trigger', g.tgname::pg_catalog.text
FROM pg_catalog.pg_trigger AS g
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) g.tgrelid
JOIN here ON here.oid OPERATOR(pg_catalog.=) c.relnamespace`;

const relationKinds: Readonly<Record<string, ObjectKind>> = {
  r: 'table',
  p: 'table',
  S: 'sequence',
  i: 'index',
};

/** Returns the name of the object in a row of `readObjects`. */
export const nameOfRow = ({ kind, name: of }: { kind: string; name: string }): string =>
  `${relationKinds[kind] ?? kind} ${of}`;
