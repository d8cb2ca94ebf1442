import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import {
  AggregateEntity,
  BinaryCodec,
  DomainEventEntity,
  eventStoreEntities,
  eventStoreMigrations,
} from 'nest-event-store';
import { problemOfName } from '../../lib/input/printable-name.ts';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { unprintableName } from '../../lib/postgres/schema/tables/printable-name.sql.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

const schema = 'event_store';

let database: TestDatabase;
let dataSource: DataSource;
let store: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await database.dataSource();
  store = await openStore(dataSource, { allowRemoval: true });
});
afterAll(() => database.drop());

const counter = (id: string) => ({ type: 'counter', id });
const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));
const refusal = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );

describe('stored events', () => {
  const kept = counter('kept');

  beforeAll(() => store.append(kept, counted(1, 2)));

  it.each([
    ['UPDATE', `UPDATE ${schema}.domain_events SET type = 'other'`],
    ['UPDATE', `UPDATE ${schema}.domain_events SET metadata = '{}' WHERE version = 2`],
    ['DELETE', `DELETE FROM ${schema}.domain_events WHERE version = 2`],
    ['TRUNCATE', `TRUNCATE ${schema}.domain_events`],
    ['TRUNCATE', `TRUNCATE ${schema}.aggregates CASCADE`],
  ])('refuse %s: %s', async (operation, sql) => {
    expect(await refusal(dataSource.query(sql))).toMatchObject({
      code: '23001',
      message: `Events of "${schema}" are append-only: ${operation} refused.`,
      driverError: { hint: expect.stringContaining('Append a correcting event.') },
    });
    expect((await store.fetchByAggregate(kept)).records.map(({ event }) => event)).toEqual(
      counted(1, 2),
    );
  });

  it('keep their aggregate', async () => {
    expect(await refusal(dataSource.query(`DELETE FROM ${schema}.aggregates`))).toMatchObject({
      code: '23503',
    });
  });

  it('refuse DELETE again once a removal in the same transaction is over', async () => {
    const other = counter('removed');
    await store.append(other, counted(1));
    const work = dataSource.transaction(async (manager) => {
      const sql = `SELECT ${schema}.remove_events('counter', 'removed') AS removed`;
      expect(await manager.query(sql)).toEqual([{ removed: '1' }]);
      await manager.query(`DELETE FROM ${schema}.domain_events`);
    });
    expect(await refusal(work)).toMatchObject({ code: '23001' });
    expect((await store.fetchByAggregate(other)).records).toHaveLength(1);
  });

  it('refuse DELETE under the setting of another schema', async () => {
    const work = dataSource.transaction(async (manager) => {
      await manager.query(`SELECT set_config('event_store.removal', 'event_stor', true)`);
      await manager.query(`DELETE FROM ${schema}.domain_events`);
    });
    expect(await refusal(work)).toMatchObject({ code: '23001' });
  });
});

describe('a raw row', () => {
  const tables = {
    aggregates: { type: `'raw'`, id: `'raw'`, version: '3' },
    domain_events: {
      position: '9000',
      event_id: 'gen_random_uuid()',
      aggregate_key: `(SELECT key FROM ${schema}.aggregates WHERE id = 'base')`,
      version: '7',
      type: `'raw'`,
      revision: '1',
      payload: `'{}'`,
      metadata: `'{}'`,
      recorded_at: 'now()',
    },
  };
  type Table = keyof typeof tables;

  /** Inserts a good row with these columns changed, and undoes it. */
  async function insert(table: Table, columns: Record<string, string>): Promise<unknown> {
    const row = { ...tables[table], ...columns };
    const names = Object.keys(row).join(', ');
    const sql = `INSERT INTO ${schema}.${table} (${names}) VALUES (${Object.values(row).join(', ')})`;
    const undone = new Error('undone');
    const work = dataSource.transaction(async (manager) => {
      await manager.query(sql);
      throw undone;
    });
    const error = await refusal(work);
    return error === undone ? 'accepted' : error;
  }

  beforeAll(() => store.append(counter('base'), counted(1)));

  it.each<[Table, Record<string, string>]>([
    ['aggregates', {}],
    ['aggregates', { type: `repeat('t', 255)`, id: `repeat('ü', 256)` }],
    ['aggregates', { version: '9007199254740991', removed_version: '9007199254740991' }],
    ['domain_events', {}],
    ['domain_events', { type: `repeat('t', 255)`, binary_payload: `'\\x00'` }],
  ])('of %s that is good is accepted: %j', async (table, columns) => {
    expect(await insert(table, columns)).toBe('accepted');
  });

  const snapshot = {
    snapshot_version: '3',
    snapshot_revision: '1',
    snapshot_state: `'{}'`,
    snapshot_taken_at: 'now()',
  };
  it.each<[Table, Record<string, string>, string]>([
    ['aggregates', { type: `''` }, 'aggregates_type_length'],
    ['aggregates', { type: `repeat('t', 256)` }, 'aggregates_type_length'],
    ['aggregates', { type: `E'a\\tb'` }, 'aggregates_type_printable'],
    ['aggregates', { id: `''` }, 'aggregates_id_length'],
    ['aggregates', { id: `repeat('ü', 257)` }, 'aggregates_id_length'],
    ['aggregates', { id: `E'a\\nb'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(1)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(127)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(159)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\202Eb'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\2028b'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\+0E0041b'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `' a'` }, 'aggregates_id_printable'],
    ['aggregates', { type: `U&'a\\3000'` }, 'aggregates_type_printable'],
    ['aggregates', { version: '9007199254740992' }, 'aggregates_version_range'],
    ['aggregates', { removed_version: '-1' }, 'aggregates_version_range'],
    ['aggregates', { removed_version: '4' }, 'aggregates_removed_version_range'],
    ['aggregates', { ...snapshot, snapshot_version: '0' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_version: '4' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_revision: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_state: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_taken_at: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { type: `'counter'`, id: `'base'` }, 'aggregates_type_id_unique'],
    [
      'domain_events',
      { position: `(SELECT min(position) FROM ${schema}.domain_events)` },
      'domain_events_pkey',
    ],
    [
      'domain_events',
      { event_id: `(SELECT event_id FROM ${schema}.domain_events LIMIT 1)` },
      'domain_events_event_id_unique',
    ],
    ['domain_events', { version: '1' }, 'domain_events_aggregate_version_unique'],
    ['domain_events', { version: '0' }, 'domain_events_version_range'],
    ['domain_events', { aggregate_key: '0' }, 'domain_events_aggregate_fkey'],
    ['domain_events', { type: `''` }, 'domain_events_type_length'],
    ['domain_events', { type: `repeat('t', 256)` }, 'domain_events_type_length'],
    ['domain_events', { type: `E'a\\nb'` }, 'domain_events_type_printable'],
    ['domain_events', { type: `E'\\x1b[2J'` }, 'domain_events_type_printable'],
    ['domain_events', { type: `U&'a\\202Eb'` }, 'domain_events_type_printable'],
    ['domain_events', { revision: '0' }, 'domain_events_revision_range'],
    ['domain_events', { payload: `'[]'` }, 'domain_events_payload_object'],
    ['domain_events', { payload: `'null'` }, 'domain_events_payload_object'],
    ['domain_events', { metadata: `'"text"'` }, 'domain_events_metadata_object'],
  ])('of %s with %j is refused by %s', async (table, columns, constraint) => {
    expect(await insert(table, columns)).toMatchObject({ driverError: { constraint } });
  });

  it.each([
    ['inside', 'a', 'b'],
    ['between letters beyond ASCII', 'é', 'é'],
    ['at the beginning', '', 'b'],
    ['at the end', 'a', ''],
  ])('is good for the same characters as in the code: %s', async (_, before, after) => {
    const rows = await dataSource.query<{ code: number }[]>(
      `SELECT n AS code FROM generate_series(1, 918000) AS n
      WHERE (n < 55296 OR n BETWEEN 57344 AND 131071 OR n > 917000)
        AND $1 || chr(n) || $2 ~ ${unprintableName}`,
      [before, after],
    );
    const refused: number[] = [];
    for (let code = 1; code <= 918_000; code++) {
      if (code >= 0xd800 && (code < 0xe000 || (code > 131_071 && code <= 917_000))) continue;
      const name = before + String.fromCodePoint(code) + after;
      if (problemOfName(name, 255) !== undefined) refused.push(code);
    }
    expect(rows.map((row) => row.code)).toEqual(refused);
    expect(refused.length).toBeGreaterThan(100);
  });

  it.each<[Table, string]>([
    ['aggregates', 'key'],
    ['aggregates', 'type'],
    ['aggregates', 'id'],
    ['aggregates', 'version'],
    ['aggregates', 'removed_version'],
    ...Object.keys(tables.domain_events).map((column): [Table, string] => [
      'domain_events',
      column,
    ]),
  ])('of %s without %s is refused', async (table, column) => {
    expect(await insert(table, { [column]: 'NULL' })).toMatchObject({
      code: '23502',
      driverError: { column },
    });
  });
});

/** Everything that a schema consists of, as the database describes it. */
async function description(of: DataSource): Promise<string[]> {
  const rows: { line: string }[] = await of.query(
    `SELECT format('column %s.%s %s %s %s %s', table_name, column_name, data_type, is_nullable,
        collation_name, column_default) AS line
      FROM information_schema.columns WHERE table_schema = $1
    UNION ALL
    SELECT format('constraint %s %s', conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = $1::regnamespace
    UNION ALL
    SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = $1
    UNION ALL
    SELECT format('function %s', pg_get_functiondef(oid))
      FROM pg_proc WHERE pronamespace = $1::regnamespace
    UNION ALL
    SELECT format('trigger %s', pg_get_triggerdef(t.oid))
      FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
      WHERE c.relnamespace = $1::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT format('relation %s %s %s', relname, relkind, reloptions)
      FROM pg_class WHERE relnamespace = $1::regnamespace
    ORDER BY 1`,
    [schema],
  );
  return rows.map((row) => row.line);
}

/** Which objects stand in the schema; one that was made anew has another number. */
async function objects(of: DataSource): Promise<unknown> {
  return of.query(
    `SELECT oid, xmin, relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace
    UNION ALL
    SELECT oid, xmin, proname FROM pg_proc WHERE pronamespace = $1::regnamespace ORDER BY 1`,
    [schema],
  );
}

describe('migrations', () => {
  let empty: TestDatabase;

  async function inNewDatabase(work: () => Promise<void>): Promise<void> {
    empty = await createTestDatabase();
    try {
      await work();
    } finally {
      await empty.drop();
    }
  }

  it('run by five data sources at once make one schema', () =>
    inNewDatabase(async () => {
      const sources = await Promise.all(Array.from({ length: 5 }, () => empty.dataSource()));
      await Promise.all(sources.map((source) => new Migrator(source, schema).run()));
      expect(await description(sources[0]!)).toEqual(await description(dataSource));
      const { version } = await (await openStore(sources[4]!)).append(counter('c-1'), counted(1));
      tally('F21', { acknowledged: version });
    }));

  it('run twice change nothing', async () => {
    const before = await objects(dataSource);
    await new Migrator(dataSource, schema).run();
    await dataSource.transaction(async (manager) => {
      for (const Migration of eventStoreMigrations()) {
        await new Migration().up(manager.queryRunner!);
      }
    });
    expect(await objects(dataSource)).toEqual(before);
  });

  it("run through TypeORM make the same schema as 'run', in any order of the two", () =>
    inNewDatabase(async () => {
      const source = await empty.dataSource({ migrations: eventStoreMigrations() });
      expect(await new Migrator(source, schema).check()).toContain('typeorm migration:run');
      expect(await source.runMigrations()).toHaveLength(1);
      expect(await new Migrator(source, schema).check()).toBeUndefined();
      expect(await description(source)).toEqual(await description(dataSource));

      const before = await objects(source);
      await new Migrator(source, schema).run();
      expect(await source.runMigrations()).toEqual([]);
      await source.query('DELETE FROM migrations');
      expect(await source.runMigrations()).toHaveLength(1);
      expect(await objects(source)).toEqual(before);
    }));

  it('of two schemas run side by side through one TypeORM data source', () =>
    inNewDatabase(async () => {
      const migrations = [...eventStoreMigrations('loans'), ...eventStoreMigrations('cards')];
      const source = await empty.dataSource({ migrations });
      expect(await source.runMigrations()).toHaveLength(2);
      for (const each of ['loans', 'cards']) {
        expect(await new Migrator(source, each).check()).toBeUndefined();
      }
    }));

  it('are undone in an empty schema, and never in one with events or checkpoints', () =>
    inNewDatabase(async () => {
      const source = await empty.dataSource({ migrations: eventStoreMigrations() });
      await source.runMigrations();
      await source.undoLastMigration();
      expect(await new Migrator(source, schema).check()).toContain('is at version 0');

      await source.runMigrations();
      await source.query(`SELECT "${schema}".register_consumer('list', 'projection', 1, false)`);
      await expect(source.undoLastMigration()).rejects.toThrow(
        `The schema "${schema}" holds checkpoints of consumers, so it is not dropped.`,
      );
      await source.query(`DELETE FROM "${schema}".consumers`);
      await (await openStore(source)).append(counter('c-1'), counted(1));
      await expect(source.undoLastMigration()).rejects.toThrow(
        `The schema "${schema}" holds events, so it is not dropped.`,
      );
      expect(await new Migrator(source, schema).check()).toBeUndefined();
    }));
});

describe('the TypeORM entities', () => {
  const entityTables = ['aggregates', 'domain_events'];
  let source: DataSource;

  beforeAll(async () => {
    source = await database.dataSource({ entities: eventStoreEntities() });
  });

  it('read rows as they are, each event with its aggregate', async () => {
    const aggregate = counter('read');
    const binary = await openStore(dataSource, { codec: new BinaryCodec() });
    const { records } = await binary.append(aggregate, counted(1, 2), {
      metadata: { actor: 'ada' },
    });
    await binary.snapshot(aggregate, { total: 3 }, 2);

    const rows = await source.getRepository(DomainEventEntity).find({
      where: { aggregate },
      relations: { aggregate: true },
      order: { position: 'ASC' },
    });
    expect(rows).toHaveLength(2);
    const [record] = records;
    expect(rows[0]).toEqual({
      position: String(record!.position),
      eventId: record!.id,
      aggregateKey: rows[0]!.aggregate.key,
      version: '1',
      type: 'counter.counted',
      revision: 1,
      payload: { by: 1 },
      binaryPayload: expect.any(Buffer),
      metadata: { actor: 'ada' },
      recordedAt: record!.recordedAt,
      aggregate: {
        key: expect.stringMatching(/^\d+$/),
        ...aggregate,
        version: '2',
        removedVersion: '0',
        snapshotVersion: '2',
        snapshotRevision: 1,
        snapshotState: { total: 3 },
        snapshotBinary: expect.any(Buffer),
        snapshotTakenAt: expect.any(Date),
      },
    });
    expect(rows[1]!.aggregate).toBeInstanceOf(AggregateEntity);
  });

  it('describe every column of their tables as the database does', async () => {
    const rows: Record<string, unknown>[] = await source.query(
      `SELECT table_name AS table, column_name AS column, data_type AS type,
        is_nullable = 'YES' AS nullable, collation_name AS collation
      FROM information_schema.columns WHERE table_schema = $1 AND table_name = ANY ($2)`,
      [schema, entityTables],
    );
    const described = source.entityMetadatas.flatMap(({ schema: of, tableName, columns }) => {
      expect(of).toBe(schema);
      return columns.map((column) => ({
        table: tableName,
        column: column.databaseName,
        type: source.driver.normalizeType(column),
        nullable: column.isNullable,
        collation: column.collation ?? null,
      }));
    });
    expect(new Set(described)).toEqual(new Set(rows));
    expect(described).toHaveLength(rows.length);
  });

  it('describe every key, unique and foreign, as the database does', async () => {
    const rows: Record<string, unknown>[] = await source.query(
      `SELECT r.relname AS table, c.conname AS name, c.contype AS kind, f.relname AS references,
        ARRAY(
          SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (number, n)
          JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.n
        ) AS columns
      FROM pg_constraint AS c
      JOIN pg_class AS r ON r.oid = c.conrelid
      LEFT JOIN pg_class AS f ON f.oid = c.confrelid
      WHERE c.connamespace = $1::regnamespace AND c.contype IN ('p', 'u', 'f')
        AND r.relname = ANY ($2)`,
      [schema, entityTables],
    );
    const names = (columns: { databaseName: string }[]) => columns.map((each) => each.databaseName);
    const described = source.entityMetadatas.flatMap((entity) => [
      {
        table: entity.tableName,
        name: `${entity.tableName}_pkey`,
        kind: 'p',
        references: null,
        columns: names(entity.primaryColumns),
      },
      ...entity.uniques.map((unique) => ({
        table: entity.tableName,
        name: unique.name,
        kind: 'u',
        references: null,
        columns: names(unique.columns),
      })),
      ...entity.foreignKeys.map((key) => ({
        table: entity.tableName,
        name: key.name,
        kind: 'f',
        references: key.referencedEntityMetadata.tableName,
        columns: names(key.columns),
      })),
    ]);
    expect(new Set(described)).toEqual(new Set(rows));
  });

  it('give TypeORM nothing to alter', async () => {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });
});

describe('two schemas in one database', () => {
  it('hold aggregates, versions and positions of their own', async () => {
    const [loans, cards] = await Promise.all([
      openStore(dataSource, { schema: 'loans' }),
      openStore(dataSource, { schema: 'cards' }),
    ]);
    await loans.append(counter('c-1'), counted(1, 2));
    const { version, position } = await cards.append(counter('c-1'), counted(3));
    expect([version, position]).toEqual([1, 1]);
    expect((await loans.fetch()).records.map(({ event }) => event)).toEqual(counted(1, 2));
    expect((await cards.fetch()).records.map(({ event }) => event)).toEqual(counted(3));
  });

  it('do not hold back the readers of one another', async () => {
    const [loans, cards] = await Promise.all([
      openStore(dataSource, { schema: 'slow_loans' }),
      openStore(dataSource, { schema: 'fast_cards' }),
    ]);
    await dataSource.transaction(async (manager: EntityManager) => {
      await loans.append(counter('open'), counted(1), { manager });
      await loans.append(counter('behind'), counted(2));
      await cards.append(counter('free'), counted(3));
      expect((await loans.fetch()).records).toEqual([]);
      expect((await cards.fetch()).records.map(({ event }) => event)).toEqual(counted(3));

      await cards.append(counter('open'), counted(4), { manager });
      await cards.append(counter('behind'), counted(5));
      expect((await cards.fetch(1)).records).toEqual([]);
    });
    const records = [...(await loans.fetch()).records, ...(await cards.fetch()).records];
    expect(records.map(({ event }) => event)).toEqual(counted(1, 2, 3, 4, 5));
    tally('F8', { acknowledged: records.length });
  });
});
