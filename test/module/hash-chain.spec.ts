import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CqrsModule } from '@nestjs/cqrs';
import { Test } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  EventLogVerifier,
  EventStore,
  hashChainSql,
  EventStoreModule,
  getEventLogVerifierToken,
  getEventStoreToken,
} from 'nest-event-store';
import { EventStoreTestingModule } from 'nest-event-store/testing';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted } from '../support/store.ts';
import { startApplication } from './start-application.ts';

const counter = { type: 'counter', id: 'c-1' };
const counting = EventStoreModule.forFeature({ events: [Counted] });

let roles: TestRoles;
let superuser: DataSource;

beforeAll(async () => {
  roles = await createTestRoles();
  superuser = await roles.database.dataSource();
});
afterAll(() => roles.drop());

const start = async (schema: string, dataSource: DataSource) =>
  startApplication(dataSource, {
    imports: [EventStoreModule.forRoot({ schema, hashChain: true, migrations: 'check' }), counting],
  });

describe('The option hashChain', () => {
  it('switches the chain on at boot, once, and for every store by its name', async () => {
    const options = { schema: 'audit', hashChain: true, store: 'audit' };
    for (const version of [1, 2]) {
      const app = await startApplication(await roles.database.dataSource(), {
        imports: [
          EventStoreModule.forRoot(options),
          EventStoreModule.forFeature({ events: [Counted] }, { store: 'audit' }),
        ],
      });
      await app.get<EventStore>(getEventStoreToken('audit')).append(counter, [new Counted(1)]);
      expect(await app.get(getEventLogVerifierToken('audit')).verify()).toMatchObject({
        events: version,
        unhashed: 0,
        chainStart: 0,
        findings: [],
      });
      await app.close();
    }
  });

  it('refuses to start if the application may not switch it on, and reports what to run', async () => {
    await roles.install('event_store');
    await expect(start('event_store', await roles.dataSource('application'))).rejects.toThrow(
      'run the SQL of hashChainSql(), as the owner of the tables',
    );
    const owner = await roles.dataSource('owner');
    await owner.query(hashChainSql());
    const app = await start('event_store', await roles.dataSource('application'));
    await app.get(EventStore).append(counter, [new Counted(1), new Counted(2)]);
    expect(await app.get(EventLogVerifier).verify()).toMatchObject({ events: 2, findings: [] });
    await app.close();

    await superuser.query(
      'ALTER TABLE event_store.domain_events DISABLE TRIGGER domain_events_hash',
    );
    await expect(start('event_store', await roles.dataSource('application'))).rejects.toThrow(
      'or disabled',
    );
    await superuser.query(
      'ALTER TABLE event_store.domain_events ENABLE TRIGGER domain_events_hash',
    );
  });

  it('lets a reader verify', async () => {
    const log = new PostgresChainedLog(await roles.dataSource('reader'), 'event_store');
    expect(await new EventLogVerifier(log).verify()).toMatchObject({ events: 2, findings: [] });
  });

  it('has no effect in memory, where there is nothing to verify', async () => {
    const app = await Test.createTestingModule({
      imports: [
        CqrsModule.forRoot(),
        EventStoreTestingModule.forRoot({ hashChain: true }),
        counting,
      ],
    }).compile();
    await app.init();
    await expect(app.get(EventLogVerifier).verify()).rejects.toMatchObject({
      code: 'UNSUPPORTED_FEATURE',
      feature: 'evidence',
    });
    await app.close();
  });
});

it.each(['', 'a"b', 'pg_own'])('hashChainSql refuses the schema %j', (schema) => {
  expect(() => hashChainSql(schema)).toThrow(TypeError);
});
