import { describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { eventStoreMigrations } from 'nest-event-store';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { counted, counter, schema } from './counters.ts';
import { useStore } from '../../support/use-store.ts';

const given = useStore({ allowRemoval: true });

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

/** Returns the objects of the schema; one that was dropped and created again has another number. */
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
      expect(await description(sources[0]!)).toEqual(await description(given.dataSource));
      const { version } = await (await openStore(sources[4]!)).append(counter('c-1'), counted(1));
      tally('F21', { acknowledged: version });
    }));

  it('run twice change nothing', async () => {
    const before = await objects(given.dataSource);
    await new Migrator(given.dataSource, schema).run();
    await given.dataSource.transaction(async (manager) => {
      for (const Migration of eventStoreMigrations()) {
        await new Migration().up(manager.queryRunner!);
      }
    });
    expect(await objects(given.dataSource)).toEqual(before);
  });

  it("run through TypeORM make the same schema as 'run', in any order of the two", () =>
    inNewDatabase(async () => {
      const source = await empty.dataSource({ migrations: eventStoreMigrations() });
      expect(await new Migrator(source, schema).check()).toContain('typeorm migration:run');
      expect(await source.runMigrations()).toHaveLength(1);
      expect(await new Migrator(source, schema).check()).toBeUndefined();
      expect(await description(source)).toEqual(await description(given.dataSource));

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
