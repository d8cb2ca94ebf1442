import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventRecord } from '../../../lib/events/event-record.ts';
import type { AppendResult } from '../../../lib/store/appending/append.ts';
import type { Delivery } from '../../../lib/subscriptions/delivery/delivery.ts';
import { startConsumers, type TestProcess } from '../../support/consumers.ts';
import { createTestRoles, type TestRoles } from '../../support/roles.ts';
import { Counted, openStore, type TestStore } from '../../support/store.ts';

/** What the tests of consumers share: a new store for each test, and a table of what was handled. */
export function useConsumers() {
  let roles: TestRoles;
  let dataSource: DataSource;
  let superuser: DataSource;
  let store: TestStore;
  let schemas = 0;
  let acknowledged = 0;
  let processes: TestProcess[] = [];

  beforeAll(async () => {
    roles = await createTestRoles();
    dataSource = await roles.dataSource('application', { max: 20 });
    superuser = await roles.database.dataSource();
  });

  beforeEach(async () => {
    acknowledged = 0;
    const schema = `consumers_${++schemas}`;
    await roles.install(schema);
    // For the read models of the tests, which are in the same schema.
    await superuser.query(`GRANT CREATE ON SCHEMA ${schema} TO ${roles.names.application}`);
    store = await openStore(dataSource, { schema });
    await dataSource.query(`CREATE TABLE "${store.schema}".seen (
      n bigserial, consumer text, generation integer, position bigint, aggregate text, by integer)`);
  });

  afterEach(async () => {
    await Promise.all(processes.map((each) => each.stop()));
    processes = [];
  });

  afterAll(() => roles.drop());

  return {
    get roles(): TestRoles {
      return roles;
    },
    /** With the rights of an application. */
    get dataSource(): DataSource {
      return dataSource;
    },
    get superuser(): DataSource {
      return superuser;
    },
    get store(): TestStore {
      return store;
    },
    /** How many appends of this test were acknowledged. */
    get acknowledged(): number {
      return acknowledged;
    },

    /** Starts consumers that are stopped after the test. */
    start: (async (...args) => {
      const started = await startConsumers(...args);
      processes.push(started);
      return started;
    }) satisfies typeof startConsumers,

    async append(id: string, ...by: number[]): Promise<AppendResult> {
      const events = by.map((each) => new Counted(each));
      const result = await store.append({ type: 'counter', id }, events);
      acknowledged += 1;
      return result;
    },

    /** The positions that a consumer has recorded, in the order in which it did. */
    async seenPositions(name: string): Promise<number[]> {
      const rows = await dataSource.query<{ position: number }[]>(
        `SELECT position::float8 FROM "${store.schema}".seen WHERE consumer = $1 ORDER BY n`,
        [name],
      );
      return rows.map(({ position }) => position);
    },

    async logPositions(): Promise<number[]> {
      const { records } = await store.fetch(0, { limit: 10_000 });
      return records.map(({ position }) => position);
    },
  };
}

/** Writes every record it gets, without checking for duplicates. */
export const recordInto =
  (schema: string) =>
  async (
    records: readonly EventRecord[],
    { consumer: name, generation }: Delivery,
    manager: EntityManager | undefined,
  ): Promise<void> => {
    await manager!.query(
      `INSERT INTO "${schema}".seen (consumer, generation, position, aggregate, by)
       SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::integer[])`,
      [
        name,
        generation,
        records.map(({ position }) => position),
        records.map(({ aggregate }) => aggregate.id),
        records.map(({ event }) => (event as Counted).by),
      ],
    );
  };
