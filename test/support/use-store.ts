import { afterAll, beforeAll } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './database.ts';
import { openStore, type TestStore } from './store.ts';

/**
 * Creates a database before the tests of a file, and drops it after them.
 *
 * It is dropped before any later `afterAll` of the same level runs: close whatever must be closed
 * earlier in a nested `describe`.
 */
export function useDatabase(options?: TestDatabaseOptions): TestDatabase {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(options);
  });
  afterAll(() => database.drop());
  return {
    get url() {
      return database.url;
    },
    dataSource: (of) => database.dataSource(of),
    drop: () => database.drop(),
  };
}

/** A store in a database of its own. Its members are available once `beforeAll` has run. */
export interface UsedStore {
  readonly database: TestDatabase;
  readonly dataSource: DataSource;
  readonly store: TestStore;
}

export type UseStoreOptions = NonNullable<Parameters<typeof openStore>[1]> & {
  /** Options of the data source that the store works on. */
  readonly connection?: Parameters<TestDatabase['dataSource']>[0];
};

/** Opens a store in a new database before the tests of a file. */
export function useStore({ connection, ...options }: UseStoreOptions = {}): UsedStore {
  const database = useDatabase();
  let dataSource: DataSource;
  let store: TestStore;
  beforeAll(async () => {
    dataSource = await database.dataSource(connection);
    store = await openStore(dataSource, options);
  });
  return {
    database,
    get dataSource() {
      return dataSource;
    },
    get store() {
      return store;
    },
  };
}
