import { beforeAll } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

/** Two stores on one log with a pool each, as two processes would have. */
export function useTwoStores() {
  const database = useDatabase();
  let dataSources: readonly DataSource[];
  let stores: readonly TestStore[];
  beforeAll(async () => {
    dataSources = [await database.dataSource({ poolSize: 12 }), await database.dataSource()];
    stores = await Promise.all(dataSources.map((each) => openStore(each)));
  });
  return {
    database,
    get dataSources(): readonly DataSource[] {
      return dataSources;
    },
    get stores(): readonly TestStore[] {
      return stores;
    },
    /** The first of them. */
    get store(): TestStore {
      return stores[0]!;
    },
  };
}

export const ref = (id: string) => ({ type: 'counter', id });
export const one = () => [new Counted(1)];
