import { describe, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { EventStoreOptions } from '../../lib/module/options.ts';
import { eventStoreContract } from '../../lib/testing/event-store-contract.ts';
import { openStore } from './store.ts';

// As the store's own removal does it; quicker than a new schema.
const emptyLog = `
  SELECT set_config('event_store.removal', 'event_store', true);
  DELETE FROM event_store.domain_events;
  DELETE FROM event_store.aggregates;
  DELETE FROM event_store.removed_hashes;
  ALTER SEQUENCE event_store.positions RESTART;
  SELECT set_config('event_store.removal', '', true);`;

export interface PostgresContractOptions {
  /** What the store is opened on, once the tests run; the schema `event_store` is there. */
  readonly application: () => DataSource;
  /** May write the tables themselves. */
  readonly owner: () => DataSource;
  readonly options?: EventStoreOptions;
  /** An additional check after each test. */
  readonly check?: () => Promise<void>;
}

/** Declares the tests of the contract for a store in PostgreSQL. */
export function postgresContract({
  application,
  owner,
  options,
  check,
}: PostgresContractOptions): void {
  eventStoreContract({
    describe,
    it,
    create: async (given) => {
      await owner().query(emptyLog);
      const store = await openStore(application(), { ...options, ...given });
      return {
        store,
        spoilSnapshot: async ({ id }) => {
          const spoil = `UPDATE event_store.aggregates SET snapshot_state = '"damaged"' WHERE id = $1`;
          await owner().query(spoil, [id]);
        },
        dispose: async () => {
          await store.close();
          await check?.();
        },
      };
    },
  });
}
