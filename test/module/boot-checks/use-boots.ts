import { afterEach, expect } from '@jest/globals';
import type { TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  DomainEvent,
  EventStore,
  EventStoreConfigurationError,
  EventStoreModule,
  type EventStoreOptions,
} from 'nest-event-store';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startApplication } from '../start-application.ts';

@DomainEvent('parcel.sent')
export class ParcelSent {
  constructor(readonly to: string) {}
}

export const parcel = (id: string) => ({ type: 'parcel', id });
export const schema = 'event_store';

/** Starts applications in a database that each test creates as it needs it. */
export function useBoots() {
  let database: TestDatabase;
  const applications: TestingModule[] = [];

  afterEach(async () => {
    await Promise.all(applications.splice(0).map((application) => application.close()));
    await database.drop();
  });

  async function create(options?: Parameters<typeof createTestDatabase>[0]): Promise<DataSource> {
    database = await createTestDatabase(options);
    return database.dataSource();
  }

  async function start(
    options: EventStoreOptions = {},
    dataSource?: Parameters<TestDatabase['dataSource']>[0],
  ): Promise<EventStore> {
    const application = await startApplication(await database.dataSource(dataSource), {
      imports: [
        EventStoreModule.forRoot(options),
        EventStoreModule.forFeature({ events: [ParcelSent] }),
      ],
    });
    applications.push(application);
    return application.get(EventStore);
  }

  async function problemsOf(options: EventStoreOptions = {}): Promise<readonly string[]> {
    const error = await start(options).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EventStoreConfigurationError);
    return (error as EventStoreConfigurationError).problems;
  }

  return {
    get database(): TestDatabase {
      return database;
    },
    applications,
    create,
    start,
    problemsOf,
  };
}

export const tables = (admin: DataSource) =>
  admin.query(`SELECT FROM pg_tables WHERE schemaname = '${schema}'`) as Promise<unknown[]>;
