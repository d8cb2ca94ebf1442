import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** A fresh, empty database for one spec file. */
export interface TestDatabase {
  readonly url: string;
  /** Opens a data source on it; `drop` closes it if the spec has not. */
  dataSource(options?: Partial<Omit<PostgresOptions, 'type' | 'url'>>): Promise<DataSource>;
  /** Closes every connection to the database, whoever holds it, and removes it. */
  drop(): Promise<void>;
}

/**
 * Creates a database of its own name on the server that `DATABASE_URL` names.
 *
 * @example
 * const database = await createTestDatabase();
 * afterAll(() => database.drop());
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = process.env['DATABASE_URL'];
  if (!server) throw new Error('DATABASE_URL is not set: run the spec through npm test.');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await execute(server, `CREATE DATABASE ${name}`);
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

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
