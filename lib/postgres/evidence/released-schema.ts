import type { Alteration } from '../../evidence/chained-log.ts';
import { migrationStatements } from '../schema/migrations/statements.ts';
import { startHashChain } from '../schema/hash-chain.sql.ts';

/** One fact of one object of a schema, such as the body of a function. Absent facts are empty. */
export interface SchemaFact {
  readonly object: string;
  readonly fact: string;
  readonly value: string;
}

/**
 * Compares a schema with what the statements of this release create.
 *
 * The statements are parsed, not run: the role that verifies may have no right to create anything.
 * Constraints and indexes are compared by name, because PostgreSQL rewrites their expressions.
 * Additional indexes are allowed; they change only the speed.
 */
export function alterationsOf(schema: string, installed: readonly SchemaFact[]): Alteration[] {
  const released = group(releasedFacts(schema));
  const found = group(installed);
  const alterations: Alteration[] = [];
  const report = (object: string, detail: string, isUnreadable = false): void => {
    alterations.push({ object: `${object} of "${schema}"`, detail, isUnreadable });
  };
  for (const [object, facts] of released) {
    const has = found.get(object);
    if (!has) report(object, 'It is missing.', tablesRead.has(object));
    else if (has.length > facts.length) report(object, 'There is another one of that name.');
    else {
      const other = facts.filter(({ fact, value }) => {
        const actual = has.find((each) => each.fact === fact)?.value ?? '';
        return normalized(object, fact, actual, schema) !== normalized(object, fact, value, schema);
      });
      if (other.length === 0) continue;
      const parts = other.map(({ fact }) => fact).join(', ');
      const isUnreadable = tablesRead.has(object) && other.some(hidesRows(has));
      report(object, `It is not what this release makes: ${parts}.`, isUnreadable);
    }
  }
  for (const object of found.keys()) {
    if (/^(trigger|function) /.test(object) && !released.has(object)) {
      report(object, 'This release does not make it.');
    }
  }
  return alterations;
}

// The tables that a verification reads.
const tablesRead = new Set(['table aggregates', 'table domain_events', 'table removed_hashes']);

/** Returns whether rows differ from what is stored, or lack columns of the release. */
const hidesRows =
  (found: readonly SchemaFact[]) =>
  ({ fact, value }: SchemaFact): boolean => {
    if (fact !== 'columns') return fact !== 'constraints';
    const actual = found.find((each) => each.fact === fact)?.value.split(', ') ?? [];
    return value.split(', ').some((column) => !actual.includes(column));
  };

function group(facts: readonly SchemaFact[]): Map<string, SchemaFact[]> {
  const groups = new Map<string, SchemaFact[]>();
  for (const each of facts) {
    const own = groups.get(each.object);
    if (own) own.push(each);
    else groups.set(each.object, [each]);
  }
  return groups;
}

function releasedFacts(schema: string): SchemaFact[] {
  const statements = migrationStatements.flat().map((each) => each(schema));
  const facts = new Map<string, SchemaFact[]>();
  for (const sql of [...statements, startHashChain(schema)]) {
    // A later version of an object replaces an earlier one.
    for (const [object, own] of group(factsOf(sql))) facts.set(object, own);
  }
  return [...facts.values()].flat();
}

const functions =
  /CREATE (?:OR REPLACE )?FUNCTION "\w+"\.(\w+)\(([^]*?)\)\s+RETURNS\s+([^]*?)\s+LANGUAGE (\w+)([^]*?)\sAS (\$function\$|')([^]*?)\6/g;
const triggers = /CREATE (?:OR REPLACE )?TRIGGER (\w+) [^]*? EXECUTE FUNCTION "\w+"\.\w+\([^)]*\)/g;
const tables = /^CREATE TABLE "\w+"\.(\w+) \(\n([^]*?)\n\)[^\n]*;$/gm;
const domains = /CREATE DOMAIN "\w+"\.(\w+) AS (\w+)([^]*?);/g;
const indexes = /CREATE (?:UNIQUE )?INDEX (\w+)/g;
const sequences =
  /CREATE SEQUENCE "\w+"\.(\w+) AS (\w+) (?:INCREMENT BY 1 )?MINVALUE (\d+) MAXVALUE (\d+) CACHE (\d+) NO CYCLE/g;

function factsOf(sql: string): SchemaFact[] {
  const facts: SchemaFact[] = [];
  const add = (object: string, own: Record<string, string>): void => {
    for (const [fact, value] of Object.entries(own)) facts.push({ object, fact, value });
  };
  for (const [, name, parameters, result, language, clauses, , body] of sql.matchAll(functions)) {
    add(`function ${name}`, {
      arguments: parameters!,
      result: result!,
      language: language!,
      rights: clauses!.includes('SECURITY DEFINER') ? 'definer' : 'invoker',
      settings: [...clauses!.matchAll(/\bSET (\w+) = (.*?)(?=\s*$)/gm)]
        .map(([, setting, value]) => `${setting}=${value}`)
        .sort()
        .join('; '),
      body: body!,
      owner: '',
    });
  }
  for (const [definition, name] of sql.matchAll(triggers)) {
    add(`trigger ${name}`, { definition, state: '' });
  }
  const plain = sql.replace(/--.*$/gm, '');
  for (const [, name, body] of plain.matchAll(tables)) {
    add(`table ${name}`, {
      columns: columnsOf(body!).sort().join(', '),
      constraints: constraintsOf(body!),
      ...{ kind: '', rules: '', policies: '' },
    });
  }
  for (const [, name, type, rest] of plain.matchAll(domains)) {
    add(`domain ${name}`, { type: type!, constraints: constraintsOf(rest!) });
  }
  for (const [, name] of plain.matchAll(indexes)) add(`index ${name}`, { state: '' });
  for (const [, name, type, min, max, cache] of plain.matchAll(sequences)) {
    add(`sequence ${name}`, { definition: `${type} 1 ${min} ${max} ${cache} f` });
  }
  return facts;
}

/** Returns the columns with their types, from the parentheses of a CREATE TABLE. */
const columnsOf = (body: string): string[] =>
  atTopLevel(body)
    .filter((item) => !item.startsWith('CONSTRAINT '))
    .map((item) => {
      const [, name, type] =
        /^"?(\w+)"?\s+(.*?)(?=\s+(?:NOT NULL|NULL|CONSTRAINT|DEFAULT|COLLATE|GENERATED|REFERENCES|CHECK)\b|$)/s.exec(
          item,
        )!;
      return `${name} ${type}`;
    });

const constraintsOf = (sql: string): string =>
  [...sql.matchAll(/CONSTRAINT (\w+)/g)]
    .map(([, name]) => name!)
    .sort()
    .join(', ');

/** Splits a list at its commas, except those inside parentheses and quotes. */
function atTopLevel(list: string): string[] {
  const items: string[] = [''];
  let depth = 0;
  for (const [token] of list.matchAll(/'[^']*'|[^]/g)) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (token === ',' && depth === 0) items.push('');
    else items[items.length - 1] += token;
  }
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** Returns the value of a fact in one form, whether this release or PostgreSQL has written it. */
function normalized(object: string, fact: string, value: string, schema: string): string {
  if (fact === 'body') return value;
  let text = value
    .replaceAll(`"${schema}".`, `${schema}.`)
    .replaceAll('"', '')
    .replaceAll('timestamptz', 'timestamp with time zone')
    .replace(/\s+/g, ' ')
    .replace(/\s*([(),;])\s*/g, '$1')
    .replace(/(DEFAULT \w+)::[\w ]+/g, '$1')
    .trim();
  if (fact === 'definition' && object.startsWith('trigger ')) {
    text = text
      .replace('CREATE OR REPLACE ', 'CREATE ')
      .replace(/(?<=(?:BEFORE|AFTER) )[A-Z ]+(?= ON )/, (events) =>
        events.split(' OR ').sort().join(' OR '),
      )
      // The start of the chain is an argument of its trigger.
      .replace(/hash_event\((?:'\d+'|%L)\)/, 'hash_event(start)');
  }
  return text;
}
