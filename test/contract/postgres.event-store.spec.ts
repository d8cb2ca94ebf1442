import { afterAll, beforeAll, describe, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { EventRegistry } from '../../lib/events/event-registry.ts';
import { EventSerializer } from '../../lib/events/event-serializer.ts';
import { JsonCodec } from '../../lib/events/json.codec.ts';
import { Migrator } from '../../lib/postgres/migrator.ts';
import { PostgresEventStore } from '../../lib/postgres/postgres.event-store.ts';
import { eventStoreContract } from '../../lib/testing/event-store-contract.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const schema = 'event_store';

// As the store's own removal does it, so that no superuser is needed; quicker than a new schema.
const emptyLog = `
  SELECT set_config('event_store.removal', '${schema}', true);
  DELETE FROM "${schema}".domain_events;
  DELETE FROM "${schema}".aggregates;
  ALTER SEQUENCE "${schema}".positions RESTART;
  SELECT set_config('event_store.removal', '', true);`;

describe('PostgresEventStore', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await database.dataSource();
    await new Migrator(dataSource, schema).run();
  });
  afterAll(() => database.drop());

  eventStoreContract({
    describe,
    it,
    create: async ({ events, ...options }) => {
      await dataSource.query(emptyLog);
      const registry = new EventRegistry();
      for (const eventClass of events) registry.register(eventClass);
      const store = new PostgresEventStore(
        dataSource,
        registry,
        new EventSerializer(registry, new JsonCodec()),
        {
          ...options,
          schema,
          maxQueuedAppends: 1_000,
          lockTimeoutMs: 5_000,
          preparedStatements: true,
          transactionManager: () => undefined,
          onWarning: () => undefined,
        },
      );
      return {
        store,
        spoilSnapshot: async ({ id }) => {
          const spoil = `UPDATE "${schema}".aggregates SET snapshot_state = '"damaged"' WHERE id = $1`;
          await dataSource.query(spoil, [id]);
        },
        dispose: () => store.close(),
      };
    },
  });
});
