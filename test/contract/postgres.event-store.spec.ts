import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { EventLogVerifier, hashChainSql } from 'nest-event-store';
import type { DataSource } from 'typeorm';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { postgresContract } from '../support/postgres-contract.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';

const schema = 'event_store';
let roles: TestRoles;
let owner: DataSource;
let application: DataSource;

beforeAll(async () => {
  roles = await createTestRoles();
  await roles.install(schema, { allowRemoval: true });
  owner = await roles.dataSource('owner');
  application = await roles.dataSource('application');
});
afterAll(() => roles.drop());

describe('PostgresEventStore, with the rights of an application', () => {
  postgresContract({ application: () => application, owner: () => owner });
});

describe('PostgresEventStore, with the rights of an application and a hash chain', () => {
  beforeAll(async () => owner.query(hashChainSql(schema)));

  postgresContract({
    application: () => application,
    owner: () => owner,
    check: async () => {
      const verifier = new EventLogVerifier(new PostgresChainedLog(application, schema));
      const { findings, unhashed } = await verifier.verify();
      // The contract spoils the snapshot of one aggregate, past the store.
      const others = findings.filter(({ kind }) => kind !== 'snapshot');
      expect({ others, unhashed }).toEqual({ others: [], unhashed: 0 });
    },
  });
});
