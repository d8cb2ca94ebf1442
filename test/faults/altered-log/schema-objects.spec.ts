import { beforeEach, describe, expect, it } from '@jest/globals';
import { EventLogVerifier, type LogReport } from 'nest-event-store';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { PostgresChainedLog } from '../../../lib/postgres/evidence/postgres.chained-log.ts';
import { openStore } from '../../support/store.ts';
import {
  aggregates,
  counter,
  events,
  expectClean,
  positions,
  schema,
  useChainedLog,
} from './use-chained-log.ts';

const given = useChainedLog();
const { someEvents } = given;

describe('an object of the schema', () => {
  let fresh: string;
  let schemas = 0;

  beforeEach(async () => {
    fresh = `fresh_${(schemas += 1)}`;
    const store = await openStore(given.dataSource, { schema: fresh });
    await new Migrator(given.dataSource, fresh, { hashChain: true }).run();
    await store.append(counter(1), someEvents());
  });

  /** Alters a schema of its own, and returns what `verify` reports then. */
  const altered = async (...statements: string[]): Promise<LogReport> => {
    for (const sql of statements) {
      await given.dataSource.query(sql.replaceAll(`${schema}.`, `${fresh}.`));
    }
    return new EventLogVerifier(new PostgresChainedLog(given.dataSource, fresh)).verify();
  };
  /** The definition of a function, with a part replaced. */
  const replaced = async (name: string, part: string, by: string): Promise<string> => {
    const [{ text }] = await given.dataSource.query(
      `SELECT pg_get_functiondef('${fresh}.${name}'::regproc) AS text`,
    );
    const other = text.replace(part, by);
    expect(other).not.toBe(text);
    return other;
  };
  const finding = (object: string, detail: string) => ({
    kind: 'altered',
    object: `${object} of "${fresh}"`,
    detail: expect.stringContaining(detail),
  });

  it.each<[string, string, string, string, string]>([
    ['read_log', '\nBEGIN\n', '\nBEGIN\n  RETURN;\n', 'body', 'an empty page'],
    ['read_log', 'enable_seqscan TO', 'enable_nestloop TO', 'settings', 'another setting'],
    ['append_event', ' SECURITY DEFINER', '', 'rights', 'the rights of the caller'],
    [
      'hash_event',
      'RETURN NEW',
      `NEW.payload := '{"by": 0}'; RETURN NEW`,
      'body',
      'a changed event',
    ],
    ['refuse_change', 'RAISE EXCEPTION', 'RAISE NOTICE', 'body', 'no refusal'],
  ])('%s that was replaced is named (%#)', async (name, part, by, fact) => {
    await given.dataSource.query(await replaced(name, part, by));
    const { findings } = await altered();
    expect(findings).toEqual([
      finding(`function ${name}`, `It is not what this release makes: ${fact}.`),
    ]);
  });

  const forge = `CREATE FUNCTION ${schema}.forge() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RETURN NEW; END $$`;
  it.each<[string, string[], [string, string][]]>([
    [
      'a trigger that was exchanged',
      [
        forge,
        `CREATE OR REPLACE TRIGGER domain_events_append_only BEFORE UPDATE ON ${events}
          FOR EACH ROW EXECUTE FUNCTION ${schema}.forge()`,
      ],
      [
        ['trigger domain_events_append_only', 'definition'],
        ['function forge', 'does not make it'],
      ],
    ],
    [
      'a trigger that was disabled',
      [`ALTER TABLE ${events} DISABLE TRIGGER domain_events_append_only`],
      [['trigger domain_events_append_only', 'state']],
    ],
    [
      'a trigger that was dropped',
      [`DROP TRIGGER domain_events_no_truncate ON ${events}`],
      [['trigger domain_events_no_truncate', 'missing']],
    ],
    [
      'a trigger that was added',
      [
        `CREATE TRIGGER forged BEFORE INSERT ON ${events}
          FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
      ],
      [['trigger forged', 'does not make it']],
    ],
    [
      'a function that overloads another one',
      [
        `CREATE FUNCTION ${schema}.read_log(integer, integer, text[], text[], boolean) RETURNS integer
          LANGUAGE sql AS 'SELECT 1'`,
      ],
      [['function read_log', 'another one']],
    ],
    [
      'a constraint that was dropped',
      [
        `ALTER TABLE ${aggregates} DROP CONSTRAINT aggregates_snapshot_whole`,
        `ALTER DOMAIN ${schema}.event_payload DROP CONSTRAINT domain_events_payload_object`,
      ],
      [
        ['table aggregates', 'constraints'],
        ['domain event_payload', 'constraints'],
      ],
    ],
    [
      'a sequence that draws ahead',
      [`ALTER SEQUENCE ${positions} CACHE 50`],
      [['sequence positions', 'definition']],
    ],
  ])('%s is named', async (_, statements, expected) => {
    const { findings, events: read } = await altered(...statements);
    expect(findings).toEqual(
      expect.arrayContaining(expected.map(([object, detail]) => finding(object, detail))),
    );
    expect(findings).toHaveLength(expected.length);
    expect(read).toBeGreaterThan(0);
  });

  it.each([
    [
      'a column of another type',
      [`ALTER TABLE ${events} ALTER COLUMN type TYPE text`],
      'domain_events',
      'columns',
    ],
    [
      'row security',
      [`ALTER TABLE ${aggregates} ENABLE ROW LEVEL SECURITY`],
      'aggregates',
      'policies',
    ],
    [
      'a view in its place',
      [
        `ALTER TABLE ${schema}.removed_hashes RENAME TO hidden`,
        `CREATE VIEW ${schema}.removed_hashes AS SELECT * FROM ${schema}.hidden`,
      ],
      'removed_hashes',
      'kind, rules',
    ],
  ])(
    'that is a table with %s is named, and its rows are not read',
    async (_, statements, table, detail) => {
      const report = await altered(...statements);
      expect(report.findings).toContainEqual(finding(`table ${table}`, detail));
      expect(report).toMatchObject({ events: 0, upTo: 0 });
    },
  );

  it('that an operator has added is not reported', async () => {
    expectClean(
      await altered(
        `CREATE INDEX by_payload ON ${events} USING gin (payload)`,
        `CREATE TABLE ${schema}.notes (note text CONSTRAINT notes_short CHECK (length(note) < 10))`,
      ),
    );
  });
});
