import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** A fresh, empty database for one spec file. */
export interface TestDatabase {
  readonly url: string;
  /** Opens a data source on it; `drop` closes it if the spec has not. */
  dataSource(options?: Partial<Omit<PostgresOptions, 'type' | 'url'>>): Promise<DataSource>;
  /** Closes every connection to the database, including those of others, and removes it. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Settings of all sessions in it; those that the server does not know are left out. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Clauses of CREATE DATABASE, such as another encoding. */
  readonly clauses?: string;
}

/**
 * Creates a database of its own name on the server that `DATABASE_URL` names.
 *
 * @example
 * const database = await createTestDatabase();
 * afterAll(() => database.drop());
 */
export async function createTestDatabase({
  settings = {},
  clauses = '',
}: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const server = process.env['DATABASE_URL'];
  if (!server) throw new Error('DATABASE_URL is not set: run the spec through npm test.');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await execute(server, `CREATE DATABASE ${name} ${clauses}`);
  await execute(server, setAll(name, settings));
  const url = new URL(server);
  url.pathname = `/${name}`;
  const opened: DataSource[] = [];

  return {
    url: url.href,
    async dataSource(options) {
      const dataSource = new DataSource({
        type: 'postgres',
        url: url.href,
        installExtensions: false,
        ...options,
      });
      opened.push(await dataSource.initialize());
      return dataSource;
    },
    async drop() {
      await Promise.all(opened.filter((each) => each.isInitialized).map((each) => each.destroy()));
      await execute(server, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** SQL that gives a database these settings, as far as the server knows them. */
const setAll = (database: string, settings: Readonly<Record<string, string>>): string => `
DO $$
DECLARE
  v_setting record;
BEGIN
  FOR v_setting IN
    SELECT s.key AS name, s.value FROM jsonb_each_text('${JSON.stringify(settings)}') AS s
    WHERE EXISTS (SELECT FROM pg_settings AS p WHERE p.name = s.key)
  LOOP
    EXECUTE format('ALTER DATABASE ${database} SET %I = %L', v_setting.name, v_setting.value);
  END LOOP;
END
$$`;

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
