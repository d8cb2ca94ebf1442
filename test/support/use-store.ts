import { afterAll, beforeAll } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './database.ts';
import { openStore, type TestStore } from './store.ts';

/** Creates a database before the tests of a file or a `describe`, and drops it after them. */
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

/** A store in a database of its own. Its members are there once the tests run. */
export interface UsedStore {
  readonly database: TestDatabase;
  readonly dataSource: DataSource;
  readonly store: TestStore;
}

/** Opens a store in a new database before the tests of a file or a `describe`. */
export function useStore(options?: Parameters<typeof openStore>[1]): UsedStore {
  const database = useDatabase();
  let dataSource: DataSource;
  let store: TestStore;
  beforeAll(async () => {
    dataSource = await database.dataSource();
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
