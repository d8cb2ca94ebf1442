import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventLogVerifier, eventStoreHashChain } from 'nest-event-store';
import type { DataSource } from 'typeorm';
import { EventRegistry } from '../../lib/events/event-registry.ts';
import { EventSerializer } from '../../lib/events/event-serializer.ts';
import { JsonCodec } from '../../lib/events/json.codec.ts';
import { PostgresChainedLog } from '../../lib/postgres/postgres.chained-log.ts';
import { PostgresEventStore } from '../../lib/postgres/postgres.event-store.ts';
import { eventStoreContract } from '../../lib/testing/event-store-contract.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';

const schema = 'event_store';

// As the store's own removal does it; quicker than a new schema.
const emptyLog = `
  SELECT set_config('event_store.removal', '${schema}', true);
  DELETE FROM "${schema}".domain_events;
  DELETE FROM "${schema}".aggregates;
  DELETE FROM "${schema}".removed_hashes;
  ALTER SEQUENCE "${schema}".positions RESTART;
  SELECT set_config('event_store.removal', '', true);`;

describe.each([
  ['', ''],
  [' and a hash chain', eventStoreHashChain(schema)],
])('PostgresEventStore, with the rights of an application%s', (_, hashChain) => {
  let roles: TestRoles;
  let owner: DataSource;
  let application: DataSource;

  beforeAll(async () => {
    roles = await createTestRoles();
    await roles.install(schema, { allowRemoval: true });
    owner = await roles.dataSource('owner');
    await owner.query(hashChain);
    application = await roles.dataSource('application');
  });
  afterAll(() => roles.drop());

  eventStoreContract({
    describe,
    it,
    create: async ({ events, ...options }) => {
      await owner.query(emptyLog);
      const registry = new EventRegistry();
      for (const eventClass of events) registry.register(eventClass);
      const store = new PostgresEventStore(
        application,
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
          await owner.query(spoil, [id]);
        },
        dispose: async () => {
          await store.close();
          if (hashChain === '') return;
          const verifier = new EventLogVerifier(new PostgresChainedLog(application, schema));
          expect(await verifier.verify()).toMatchObject({ findings: [], unhashed: 0 });
        },
      };
    },
  });
});
