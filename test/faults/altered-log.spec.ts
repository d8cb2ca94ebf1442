import { generateKeyPairSync } from 'node:crypto';
import { appendFile, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import {
  BinaryCodec,
  EventLogVerifier,
  type LogFindingKind,
  type LogReport,
} from 'nest-event-store';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { random, seed } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

const schema = 'event_store';
const events = `${schema}.domain_events`;
const aggregates = `${schema}.aggregates`;
const positions = `${schema}.positions`;
const tables = [aggregates, events, `${schema}.removed_hashes`];
const copyOf = (table: string): string => table.replace(`${schema}.`, 'copy_of_');

const choices = random(seed());
const { privateKey, publicKey } = generateKeyPairSync('ed25519');

let database: TestDatabase;
let dataSource: DataSource;
let stores: readonly TestStore[];
let verifier: EventLogVerifier;
let directory: string;
/** Three anchors, with appends before, between and behind them. */
let anchors: string;
let lastPosition: number;
let acknowledged = 0;
let alterations = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await database.dataSource();
  stores = [
    await openStore(dataSource, { allowRemoval: true }),
    await openStore(dataSource, { codec: new BinaryCodec() }),
  ];
  verifier = new EventLogVerifier(new PostgresChainedLog(dataSource, schema));
  directory = await mkdtemp(join(tmpdir(), 'anchors-'));
  anchors = join(directory, 'anchors.jsonl');

  await appendAtRandom(10);
  // Uses positions up.
  const rolledBack = dataSource.transaction(async (manager) => {
    await stores[0]!.append(counter(0), someEvents(), { manager });
    throw new Error('rolled back');
  });
  await expect(rolledBack).rejects.toThrow('rolled back');
  await Promise.all([
    appendAtRandom(40),
    new Migrator(dataSource, schema, { hashChain: true }).run(),
    appendAtRandom(40),
  ]);
  for (let anchor = 0; anchor < 3; anchor++) {
    await appendAtRandom(25);
    await verifier.anchor(anchors, { privateKey });
  }
  await stores[0]!.removeEvents(counter(19));
  await appendAtRandom(4);
  for (const table of tables) {
    await dataSource.query(`CREATE TABLE ${copyOf(table)} AS TABLE ${table}`);
  }
  ({ lastPosition } = await stores[0]!.horizon());
});
afterEach(async () => {
  tally('F22', { runs: alterations, acknowledged });
  acknowledged = 0;
  await behindTheBack(
    ...tables.flatMap((table) => [
      `DELETE FROM ${table}`,
      `INSERT INTO ${table} SELECT * FROM ${copyOf(table)}`,
    ]),
    `SELECT setval('${positions}', ${lastPosition})`,
  );
  alterations = 0;
});
afterAll(async () => {
  await database.drop();
  await rm(directory, { recursive: true });
});

const counter = (number: number) => ({ type: 'counter', id: `c-${number}` });
let counted = 0;
const someEvents = () =>
  Array.from({ length: choices.integer(1, 5) }, () => new Counted((counted += 1)));

/** Appends at once, in every way there is, in both forms, to few aggregates. */
async function appendAtRandom(calls: number): Promise<void> {
  const append = async (): Promise<unknown> => {
    const store = choices.pick(stores);
    const [a, b] = [counter(choices.integer(0, 9)), counter(choices.integer(10, 19))];
    const metadata = { actor: choices.pick(['ada', 'grace', 'Zoë']) };
    switch (choices.integer(1, 4)) {
      case 1:
        return store.append(a, someEvents(), { metadata });
      case 2:
        return store.append(b, [new Counted((counted += 1))]);
      case 3:
        return store.appendAll([
          { aggregate: a, events: someEvents(), metadata },
          { aggregate: b, events: someEvents() },
          { aggregate: a, events: someEvents() },
        ]);
      default:
        return dataSource.transaction(async (manager) => {
          await store.append(b, someEvents(), { manager });
          await store.append(b, someEvents(), { manager });
        });
    }
  };
  acknowledged += (await Promise.all(Array.from({ length: calls }, append))).length;
}

/** As a superuser who passes by the triggers and the foreign keys of the store. */
async function behindTheBack(...statements: string[]): Promise<void> {
  await dataSource.transaction(async (manager) => {
    await manager.query('SET LOCAL session_replication_role = replica');
    for (const sql of statements) await manager.query(sql);
  });
  alterations += 1;
}

/** An event that has a hash, as have those before and behind it in its aggregate. */
interface Victim {
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly key: number;
  /** The positions of the next event of its aggregate, and of the last one. */
  readonly next: number;
  readonly last: number;
}

async function pickEvent(but?: Victim): Promise<Victim> {
  const rows: Record<string, string>[] = await dataSource.query(
    `SELECT e.position, e.version, g.type, g.id, g.key, n.position AS next,
      (SELECT max(l.position) FROM ${events} AS l WHERE l.aggregate_key = g.key) AS last
    FROM ${events} AS e
    JOIN ${aggregates} AS g ON g.key = e.aggregate_key
    JOIN ${events} AS p ON p.aggregate_key = g.key AND p.version = e.version - 1
    JOIN ${events} AS n ON n.aggregate_key = g.key AND n.version = e.version + 1
    WHERE p.hash IS NOT NULL AND g.key <> $1
    ORDER BY e.position`,
    [but?.key ?? 0],
  );
  const { type, id, ...numbers } = choices.pick(rows);
  const aggregate = { type: type!, id: id! };
  const entries = Object.entries(numbers).map(([name, value]) => [name, Number(value)]);
  return { aggregate, ...Object.fromEntries(entries) } as Victim;
}

const named = (
  kind: LogFindingKind,
  { position, aggregate, version }: Pick<Victim, 'position' | 'aggregate' | 'version'>,
) => expect.objectContaining({ kind, position, aggregate, version });

const expectClean = ({ findings, findingCount }: LogReport): void =>
  expect({ findings, findingCount }).toEqual({ findings: [], findingCount: 0 });

describe('an unaltered log', () => {
  it('verifies, however it was appended to, also while the chain was switched on', async () => {
    const report = await verifier.verify({ anchors, publicKey });
    const [{ stored, unhashed, removed }] = await dataSource.query(
      `SELECT count(*)::integer AS stored, count(*) FILTER (WHERE hash IS NULL)::integer AS unhashed,
        (SELECT count(*)::integer FROM ${schema}.removed_hashes) AS removed FROM ${events}`,
    );
    expectClean(report);
    expect(report).toMatchObject({ events: stored, unhashed, removed, anchors: 3 });
    expect(report.upTo).toBe(lastPosition);
    expect(Math.min(unhashed, stored - unhashed, removed)).toBeGreaterThan(0);
  });

  it('verifies while appends go on, and is anchored by several at once', async () => {
    const file = join(directory, 'busy.jsonl');
    const anchor = () => verifier.anchor(file, { privateKey });
    await Promise.all([anchor(), anchor(), anchor(), anchor()]);
    const anchored = async () => {
      await anchor();
      return verifier.verify({ anchors: file, publicKey });
    };
    await dataSource.transaction(async (manager) => {
      await stores[0]!.append(counter(50), someEvents(), { manager });
      const appends = appendAtRandom(40);
      for (const report of await Promise.all([anchored(), anchored()])) expectClean(report);
      await appends;
    });
    const report = await anchored();
    expectClean(report);
    expect(report).toMatchObject({ anchors: 7, anchoredUpTo: report.upTo });
  });

  it('verifies with events of a transaction that was open when the chain was switched on', async () => {
    const store = await openStore(dataSource, { schema: 'switched' });
    const switching = await dataSource.transaction(async (manager) => {
      await store.append(counter(1), someEvents(), { manager });
      const migrator = new Migrator(dataSource, 'switched', { hashChain: true });
      const done = migrator.run();
      await eventually(async () => {
        const waiting = `SELECT FROM pg_locks WHERE NOT granted
          AND relation = 'switched.domain_events'::regclass`;
        return (await dataSource.query(waiting)).length > 0;
      });
      await store.append(counter(2), someEvents(), { manager });
      return { done };
    });
    await switching.done;
    await store.append(counter(2), someEvents());
    const report = await new EventLogVerifier(
      new PostgresChainedLog(dataSource, 'switched'),
    ).verify();
    expectClean(report);
    expect(report.chainStart).toBe(report.unhashed);
  });

  it('verifies against its anchors, though removeEvents has removed a part of it', async () => {
    const before = await verifier.verify();
    const removed = await stores[0]!.removeEvents(counter(3));
    await stores[0]!.append(counter(3), someEvents());
    const report = await verifier.verify({ anchors, publicKey });
    expectClean(report);
    expect(report.removed).toBe(before.removed + removed);
  });
});

describe('an event', () => {
  const bytes = `set_byte(binary_payload, 1, (get_byte(binary_payload, 1) + 1) % 256)`;
  it.each([
    ['payload', `payload = payload || '{"by": 0}'`],
    ['binary payload', `binary_payload = coalesce(${bytes}, '')`],
    ['metadata', `metadata = '{"actor": "mallory"}'`],
    ['type', `type = 'counter.discounted'`],
    ['revision', 'revision = 2'],
    ['time', `recorded_at = recorded_at + interval '1 microsecond'`],
    ['id', 'event_id = gen_random_uuid()'],
    ['hash', 'hash = sha256(hash)'],
  ])('whose %s was changed is named, with the hash that it should have', async (_, change) => {
    for (let round = 0; round < 3; round++) {
      const victim = await pickEvent();
      await behindTheBack(`UPDATE ${events} SET ${change} WHERE position = ${victim.position}`);
      const { findings } = await verifier.verify();
      const finding = findings.find(({ position }) => position === victim.position);
      expect(finding).toEqual(named('changed', victim));
      expect([finding!.stored, finding!.expected].join(' ')).toMatch(/^(?!(\w+) \1)\w{64} \w{64}$/);
    }
  });

  it('that was changed together with its hash is named at the next event of its aggregate', async () => {
    const victim = await pickEvent();
    await behindTheBack(
      `UPDATE ${events} SET payload = '{"by": 0}' WHERE position = ${victim.position}`,
    );
    const [changed] = (await verifier.verify()).findings;
    await behindTheBack(
      `UPDATE ${events} SET hash = '\\x${changed!.expected}' WHERE position = ${victim.position}`,
    );
    expect((await verifier.verify()).findings).toEqual([
      named('changed', { ...victim, version: victim.version + 1, position: victim.next }),
    ]);
  });

  it('whose place in the log or aggregate was changed is named', async () => {
    const victim = await pickEvent();
    const { position, aggregate, version, key } = victim;
    await behindTheBack(
      `UPDATE ${events} SET position = ${lastPosition + 1} WHERE position = ${position}`,
      `SELECT setval('${positions}', ${lastPosition + 1})`,
    );
    expect((await verifier.verify()).findings).toContainEqual(
      named('changed', { aggregate, version, position: lastPosition + 1 }),
    );
    await behindTheBack(`UPDATE ${aggregates} SET id = 'renamed' WHERE key = ${key}`);
    expect((await verifier.verify()).findings).toContainEqual(
      named('changed', {
        aggregate: { ...aggregate, id: 'renamed' },
        version: version + 1,
        position: victim.next,
      }),
    );
    await behindTheBack(`DELETE FROM ${aggregates} WHERE key = ${key}`);
    expect((await verifier.verify()).findings).toContainEqual(
      expect.objectContaining({ kind: 'missing', version: version + 1, position: victim.next }),
    );
  });

  it('that was removed is named by its version and the position of the next', async () => {
    for (let round = 0; round < 3; round++) {
      const victim = await pickEvent();
      await behindTheBack(`DELETE FROM ${events} WHERE position = ${victim.position}`);
      const { findings } = await verifier.verify();
      expect(findings).toContainEqual(named('missing', { ...victim, position: victim.next }));
    }
  });

  it('that was removed with all later ones is named by its version', async () => {
    const { aggregate, key, version } = await pickEvent();
    await behindTheBack(
      `DELETE FROM ${events} WHERE aggregate_key = ${key} AND version >= ${version}`,
    );
    expect((await verifier.verify()).findings).toEqual([
      expect.objectContaining({ kind: 'missing', aggregate, version }),
    ]);
  });

  it('that was removed under the pretence of removeEvents is named', async () => {
    const victim = await pickEvent();
    await dataSource.transaction(async (manager) => {
      await manager.query(`SELECT set_config('event_store.removal', '${schema}', true)`);
      await manager.query(`DELETE FROM ${events} WHERE position = ${victim.position}`);
    });
    expect((await verifier.verify()).findings).toContainEqual(named('missing', victim));
  });

  const columns = [
    ...['position', 'event_id', 'aggregate_key', 'version', 'type', 'revision', 'payload'],
    ...['binary_payload', 'metadata', 'recorded_at', 'hash'],
  ];
  it.each([
    ['payloads', ['payload', 'binary_payload']],
    ['positions', ['position']],
    ['places', ['aggregate_key', 'version']],
    ['everything but the place', columns.filter((name) => !/position|key|version/.test(name))],
  ])('that has exchanged %s with another one is named, and so is the other', async (_, swapped) => {
    const one = await pickEvent();
    const other = await pickEvent(one);
    const pair = `(${one.position}, ${other.position})`;
    const exchanged = columns.map((name) => `${swapped.includes(name) ? 'o' : 'e'}.${name}`);
    await behindTheBack(
      `CREATE TEMPORARY TABLE exchanged ON COMMIT DROP AS SELECT ${exchanged.join(', ')}
        FROM ${events} AS e, ${events} AS o
        WHERE e.position IN ${pair} AND o.position IN ${pair} AND e.position <> o.position`,
      `DELETE FROM ${events} WHERE position IN ${pair}`,
      `INSERT INTO ${events} (${columns.join(', ')}) SELECT * FROM exchanged`,
    );
    const { findings } = await verifier.verify();
    for (const { position } of [one, other]) {
      expect(findings).toContainEqual(expect.objectContaining({ kind: 'changed', position }));
    }
  });

  const forge = (key: number | string, version: number | string, hash: string) =>
    `INSERT INTO ${events} SELECT ${lastPosition + 1}, gen_random_uuid(), ${key}, ${version},
      'counter.counted', 1, '{"by": 1}', NULL, '{}', now(), ${hash}`;
  it.each([
    ['without a hash', 'forged', 'NULL'],
    ['with any hash', 'changed', `sha256('any')`],
  ] as const)('that was inserted %s is named', async (_, kind, hash) => {
    const { aggregate, key } = await pickEvent();
    await behindTheBack(
      `UPDATE ${aggregates} SET version = version + 1 WHERE key = ${key}`,
      forge(key, `(SELECT version FROM ${aggregates} WHERE key = ${key})`, hash),
      `SELECT setval('${positions}', ${lastPosition + 1})`,
    );
    expect((await verifier.verify()).findings).toEqual([
      expect.objectContaining({ kind, aggregate, position: lastPosition + 1 }),
    ]);
  });

  it('that was inserted beyond the version of its aggregate, or among removed ones, is named', async () => {
    const { aggregate, key } = await pickEvent();
    await behindTheBack(
      forge(key, 1_000, 'NULL'),
      `SELECT setval('${positions}', ${lastPosition + 1})`,
    );
    expect((await verifier.verify()).findings).toEqual([
      named('forged', { aggregate, version: 1_000, position: lastPosition + 1 }),
    ]);
    await behindTheBack(
      `UPDATE ${events} SET version = 1,
        aggregate_key = (SELECT key FROM ${aggregates} WHERE id = 'c-19')
        WHERE position = ${lastPosition + 1}`,
    );
    expect((await verifier.verify()).findings).toContainEqual(
      named('forged', { aggregate: counter(19), version: 1, position: lastPosition + 1 }),
    );
  });
});

describe('a snapshot', () => {
  const takeSnapshots = async () => {
    for (const [number, store] of stores.entries()) {
      const aggregate = counter(number);
      const version = await store.currentVersion(aggregate);
      await store.snapshot(aggregate, { total: choices.integer(0, 9) }, version - 1);
    }
  };

  it('that is unchanged verifies, in both forms, of events with and without a hash', async () => {
    await takeSnapshots();
    const old = await pickEvent();
    await stores[0]!.snapshot(old.aggregate, { total: 1 }, 1);
    const report = await verifier.verify({ anchors, publicKey });
    expectClean(report);
    expect(report.snapshots).toBeGreaterThanOrEqual(2);
    await stores[0]!.removeEvents(counter(0));
    expectClean(await verifier.verify());
  });

  it.each([
    ['state', `snapshot_state = '{"total": 1000000}'`],
    ['binary state', `snapshot_binary = coalesce(snapshot_binary, '') || '\\x01'`],
    ['revision', 'snapshot_revision = 2'],
    ['version', 'snapshot_version = snapshot_version - 1'],
    ['hash', 'snapshot_hash = sha256(snapshot_hash)'],
    ['hash, taken away,', 'snapshot_hash = NULL'],
  ])('whose %s was changed is named, with the hash that it should have', async (_, change) => {
    for (const number of [0, 1]) {
      await takeSnapshots();
      const update = `UPDATE ${aggregates} SET ${change} WHERE id = 'c-${number}'`;
      // With and without the triggers of the store.
      if (number === 0) await behindTheBack(update);
      else await dataSource.query(update);
      const [{ version }] = await dataSource.query(
        `SELECT snapshot_version::integer AS version FROM ${aggregates} WHERE id = 'c-${number}'`,
      );
      const { findings } = await verifier.verify();
      expect(findings).toEqual([
        expect.objectContaining({ kind: 'snapshot', aggregate: counter(number), version }),
      ]);
      expect(findings[0]!.expected).not.toBe(findings[0]!.stored);
      await dataSource.query(
        `UPDATE ${aggregates} SET snapshot_version = NULL, snapshot_hash = NULL WHERE id = 'c-${number}'`,
      );
      expectClean(await verifier.verify());
    }
  });

  it('is named where the event at its version has another hash by now', async () => {
    await takeSnapshots();
    const [{ version, position }] = await dataSource.query(
      `SELECT e.version::integer, e.position::integer FROM ${events} AS e
      JOIN ${aggregates} AS g ON g.key = e.aggregate_key AND g.snapshot_version = e.version
      WHERE g.id = 'c-0'`,
    );
    await behindTheBack(`UPDATE ${events} SET hash = sha256('any') WHERE position = ${position}`);
    expect((await verifier.verify()).findings).toContainEqual(
      expect.objectContaining({ kind: 'snapshot', aggregate: counter(0), version }),
    );
  });
});

describe('an object of the schema', () => {
  let fresh: string;
  let schemas = 0;

  beforeEach(async () => {
    fresh = `fresh_${(schemas += 1)}`;
    const store = await openStore(dataSource, { schema: fresh });
    await new Migrator(dataSource, fresh, { hashChain: true }).run();
    await store.append(counter(1), someEvents());
  });

  /** Alters a schema of its own, and returns what `verify` says then. */
  const altered = async (...statements: string[]): Promise<LogReport> => {
    for (const sql of statements) {
      await dataSource.query(sql.replaceAll(`${schema}.`, `${fresh}.`));
    }
    return new EventLogVerifier(new PostgresChainedLog(dataSource, fresh)).verify();
  };
  /** The text of a function, with a part exchanged. */
  const replaced = async (name: string, part: string, by: string): Promise<string> => {
    const [{ text }] = await dataSource.query(
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
    await dataSource.query(await replaced(name, part, by));
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
      'a function beside another one of its name',
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

  it('that an operator has added is none of them', async () => {
    expectClean(
      await altered(
        `CREATE INDEX by_payload ON ${events} USING gin (payload)`,
        `CREATE TABLE ${schema}.notes (note text CONSTRAINT notes_short CHECK (length(note) < 10))`,
      ),
    );
  });
});

describe('an attacker that computes hashes again', () => {
  /** Writes the events of an aggregate again, changed by SQL: the chain itself hashes them. */
  const rewrite = async (key: number, change: string): Promise<void> => {
    await dataSource.transaction(async (manager) => {
      for (const sql of [
        'SET LOCAL session_replication_role = replica',
        `CREATE TEMPORARY TABLE rewritten ON COMMIT DROP AS
          SELECT * FROM ${events} WHERE aggregate_key = ${key} AND hash IS NOT NULL`,
        `DELETE FROM ${events} WHERE aggregate_key = ${key} AND hash IS NOT NULL`,
        change,
        'SET LOCAL session_replication_role = origin',
        `INSERT INTO ${events} SELECT * FROM rewritten ORDER BY version`,
      ]) {
        await manager.query(sql);
      }
    });
  };
  const linesOf = async (file: string) => (await readFile(file, 'utf8')).trimEnd().split('\n');
  interface Line {
    readonly after: number;
    readonly position: number;
  }
  /** An event that the first anchors speak of. */
  const pickAnchored = async (): Promise<Victim & { readonly interval: Line }> => {
    const lines = (await linesOf(anchors)).map((line) => JSON.parse(line) as Line);
    for (;;) {
      const victim = await pickEvent();
      const interval = lines.find((line) => line.position >= victim.last);
      if (interval) return { ...victim, interval };
    }
  };
  const disagreeing = ({ after, position }: Line) =>
    expect.objectContaining({
      kind: 'anchor',
      detail: expect.stringContaining(
        `After position ${after} and up to ${position}, the log is not`,
      ),
    });

  it.each<[string, (victim: Victim) => Promise<void>]>([
    [
      'of an aggregate with a changed event',
      ({ key, version }) =>
        rewrite(key, `UPDATE rewritten SET payload = '{"by": 0}' WHERE version >= ${version}`),
    ],
    [
      'of an aggregate without its last events',
      async ({ key, version }) => {
        await rewrite(key, `DELETE FROM rewritten WHERE version >= ${version}`);
        await behindTheBack(`UPDATE ${aggregates} SET version = ${version - 1} WHERE key = ${key}`);
      },
    ],
    [
      'of no event of an aggregate, removed as a whole,',
      ({ key }) =>
        behindTheBack(
          `DELETE FROM ${events} WHERE aggregate_key = ${key}`,
          `DELETE FROM ${aggregates} WHERE key = ${key}`,
        ),
    ],
  ])('%s is found by the anchors alone, which name the interval', async (_, alter) => {
    const victim = await pickAnchored();
    await alter(victim);
    expectClean(await verifier.verify());
    const { findings } = await verifier.verify({ anchors, publicKey });
    expect(findings).toContainEqual(disagreeing(victim.interval));
  });

  it('of an event in a gap of the log, as the store itself does, is found by the anchors alone', async () => {
    const [{ gap }] = await dataSource.query(
      `SELECT min(n) AS gap FROM generate_series(1, ${lastPosition}) AS n
      WHERE NOT EXISTS (SELECT FROM ${events} AS e WHERE e.position = n)
        AND NOT EXISTS (SELECT FROM ${schema}.removed_hashes AS r WHERE r.position = n)`,
    );
    await dataSource.query(
      `WITH forged AS (
        INSERT INTO ${aggregates} (type, id, version) VALUES ('counter', 'forged', 1) RETURNING key
      )
      INSERT INTO ${events} SELECT ${gap}, gen_random_uuid(), key, 1,
        'counter.counted', 1, '{"by": 1}', NULL, '{}', now() FROM forged`,
    );
    expectClean(await verifier.verify());
    const first = JSON.parse((await linesOf(anchors))[0]!) as Line;
    const { findings } = await verifier.verify({ anchors, publicKey });
    expect(findings).toContainEqual(disagreeing(first));
  });

  it('is found by the anchors where the end of the log was cut off', async () => {
    const { after, position } = JSON.parse((await linesOf(anchors)).at(-1)!) as Line;
    await behindTheBack(
      `DELETE FROM ${events} WHERE position > ${after}`,
      `UPDATE ${aggregates} AS g SET version = greatest(
        removed_version, (SELECT max(version) FROM ${events} AS e WHERE e.aggregate_key = g.key)
      )`,
    );
    expectClean(await verifier.verify());
    const { findings } = await verifier.verify({ anchors, publicKey });
    expect(findings).toEqual([disagreeing({ after, position })]);

    await dataSource.query(`SELECT setval('${positions}', ${after})`);
    const { findings: shorter, upTo } = await verifier.verify({ anchors, publicKey });
    expect(upTo).toBe(after);
    expect(shorter).toEqual([
      expect.objectContaining({
        kind: 'anchor',
        detail: expect.stringContaining(`The log ends at position ${after}`),
      }),
    ]);
    await expect(verifier.anchor(anchors, { privateKey })).rejects.toMatchObject({
      code: 'ANCHOR_FILE',
      reason: expect.stringContaining('is ahead of the log'),
    });
  });

  it('is found by the anchors where hashes were taken away, as if the chain had begun later', async () => {
    const trigger = 'domain_events_hash';
    const definition = `SELECT pg_get_triggerdef(oid) AS sql FROM pg_trigger WHERE tgname = '${trigger}'`;
    const [{ sql }] = await dataSource.query(definition);
    await behindTheBack(`UPDATE ${events} SET hash = NULL`, `DROP TRIGGER ${trigger} ON ${events}`);
    await expect(verifier.verify()).rejects.toMatchObject({ code: 'HASH_CHAIN_OFF', schema });
    await new Migrator(dataSource, schema, { hashChain: true }).run();
    expectClean(await verifier.verify());
    const { findings } = await verifier.verify({ anchors, publicKey });
    expect(findings.map(({ kind }) => kind)).toEqual(['anchor', 'anchor', 'anchor', 'anchor']);
    expect(findings[0]!.detail).toContain('the chain was off meanwhile');
    await dataSource.query(`DROP TRIGGER ${trigger} ON ${events}`);
    await dataSource.query(sql);
  });
});

describe('a file of anchors', () => {
  let file: string;
  let lines: string[];

  beforeEach(async () => {
    file = join(directory, 'altered.jsonl');
    await copyFile(anchors, file);
    lines = (await readFile(file, 'utf8')).split('\n').slice(0, 3);
  });

  const found = async () => (await verifier.verify({ anchors: file, publicKey })).findings;

  it.each<[string, (lines: string[]) => string[], string[]]>([
    [
      'with a changed line',
      ([a, b, c]) => [a!, b!.replace(/"events":\d+/, '"events":1'), c!],
      ['Line 2 of the anchors is not signed', 'Line 3 of the anchors does not follow'],
    ],
    [
      'with a line that is none',
      ([a, b, c]) => [a!, b!, 'null', c!],
      ['Line 3 of the anchors is not signed'],
    ],
    ['without its first line', ([, b, c]) => [b!, c!], ['Line 1 of the anchors does not follow']],
    ['without a line', ([a, , c]) => [a!, c!], ['Line 2 of the anchors does not follow']],
    [
      'with exchanged lines',
      ([a, b, c]) => [a!, c!, b!],
      ['Line 2 of the anchors does not follow', 'Line 3 of the anchors does not follow'],
    ],
  ])('%s is refused', async (_, alter, details) => {
    await writeFile(file, `${alter(lines).join('\n')}\n`);
    expect(await found()).toEqual(
      details.map((detail) => ({ kind: 'anchor', detail: expect.stringContaining(detail) })),
    );
  });

  it('that was signed with another key is refused, and not gone on with', async () => {
    const { privateKey: other, publicKey: its } = generateKeyPairSync('ed25519');
    const report = await verifier.verify({ anchors: file, publicKey: its });
    expect(report).toMatchObject({ findingCount: 3, anchors: 0, anchoredUpTo: 0 });
    await expect(verifier.anchor(file, { privateKey: other })).rejects.toMatchObject({
      code: 'ANCHOR_FILE',
      reason: 'ends in a line that was not signed with this key',
    });
    expect(await readFile(file, 'utf8')).toBe(`${lines.join('\n')}\n`);
  });

  it('that ends in half a line is good up to there, and gone on with', async () => {
    await appendFile(file, lines[2]!.slice(0, -1));
    const torn = await verifier.verify({ anchors: file, publicKey });
    expectClean(torn);
    expect(torn).toMatchObject({ anchors: 3, hasTornAnchor: true });
    await verifier.anchor(file, { privateKey });
    const whole = await verifier.verify({ anchors: file, publicKey });
    expectClean(whole);
    expect(whole).toMatchObject({ anchors: 4, hasTornAnchor: false, anchoredUpTo: whole.upTo });
  });

  it('that is not there, or not whole in the call, is an error', async () => {
    await rm(file);
    await expect(found()).rejects.toMatchObject({ code: 'ANCHOR_FILE', file });
    await expect(verifier.verify({ anchors: file })).rejects.toThrow(TypeError);
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    await expect(verifier.anchor(file, { privateKey: rsa })).rejects.toThrow(TypeError);
  });
});
