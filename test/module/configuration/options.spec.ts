import { describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { CqrsModule, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import {
  EventStore,
  EventStoreModule,
  getEventStoreToken,
  SchemaMismatchError,
  type EventStoreOptions,
} from 'nest-event-store';
import { eventually } from '../../support/eventually.ts';
import { startBare, typeOrm } from '../start-application.ts';
import { feature, parcel, ParcelSent, useParcels } from './use-parcels.ts';

const { database, applications, newSchema, start, problemsOf, tablesOf } = useParcels();

describe('forRoot', () => {
  it('needs no options: the store is available in the whole application', async () => {
    @Injectable()
    class Desk {
      constructor(readonly store: EventStore) {}
    }
    @Module({ providers: [Desk] })
    class DeskModule {}

    const application = await start({
      imports: [EventStoreModule.forRoot(), EventStoreModule.forFeature(feature), DeskModule],
    });
    const { store } = application.get(Desk, { strict: false });
    await store.append(parcel, [new ParcelSent('Bern')]);
    const { records } = await store.fetchByAggregate(parcel);
    expect(records.map((record) => record.event)).toEqual([new ParcelSent('Bern')]);
    expect(await tablesOf('event_store')).toEqual(
      expect.arrayContaining(['aggregates', 'domain_events', 'checkpoints']),
    );
  });

  it('uses the schema and the limits that it is given', async () => {
    const application = await start({
      imports: [
        EventStoreModule.forRoot({ schema: 'parcels', maxAppendEvents: 1, eventBus: 'off' }),
        EventStoreModule.forFeature(feature),
      ],
    });
    const store = application.get(EventStore);
    await expect(
      store.append(parcel, [new ParcelSent('Bern'), new ParcelSent('Basel')]),
    ).rejects.toMatchObject({ code: 'APPEND_TOO_LARGE', maxAppendEvents: 1 });
    expect(await tablesOf('parcels')).toContain('domain_events');
  });

  it.each([
    ['the plain CqrsModule', CqrsModule],
    ['CqrsModule.forRoot()', CqrsModule.forRoot()],
  ])('publishes on the bus of %s', async (_, cqrs) => {
    const heard: object[] = [];
    @EventsHandler(ParcelSent)
    class Recipient implements IEventHandler<ParcelSent> {
      handle(event: ParcelSent): void {
        heard.push(event);
      }
    }
    @Module({ imports: [cqrs], providers: [Recipient] })
    class RecipientModule {}

    const application = await startBare({
      imports: [
        typeOrm(await database.dataSource()),
        EventStoreModule.forRoot({ schema: newSchema() }),
        EventStoreModule.forFeature(feature),
        RecipientModule,
      ],
    });
    applications.push(application);
    const event = new ParcelSent('Bern');
    await application.get(EventStore).append(parcel, [event]);
    await eventually(() => heard.length === 1);
    expect(heard[0]).toBe(event);
  });

  it("needs no CqrsModule with eventBus: 'off'", async () => {
    const application = await startBare({
      imports: [
        typeOrm(await database.dataSource()),
        EventStoreModule.forRoot({ schema: newSchema(), eventBus: 'off' }),
        EventStoreModule.forFeature(feature),
      ],
    });
    applications.push(application);
    await application.get(EventStore).append(parcel, [new ParcelSent('Bern')]);
  });
});

describe('forRootAsync', () => {
  const asyncOptions = { schema: newSchema(), eventBus: 'off' } as const;

  @Injectable()
  class Configuration {
    createEventStoreOptions(): EventStoreOptions {
      return asyncOptions;
    }
  }
  @Module({ providers: [Configuration], exports: [Configuration] })
  class ConfigurationModule {}

  it.each([
    [
      'useFactory',
      EventStoreModule.forRootAsync({
        imports: [ConfigurationModule],
        inject: [Configuration],
        useFactory: async (configuration: Configuration) => configuration.createEventStoreOptions(),
      }),
    ],
    ['useClass', EventStoreModule.forRootAsync({ useClass: Configuration })],
    [
      'useExisting',
      EventStoreModule.forRootAsync({
        imports: [ConfigurationModule],
        useExisting: Configuration,
      }),
    ],
  ])('takes its options from %s', async (id, root) => {
    const application = await start({ imports: [root, EventStoreModule.forFeature(feature)] });
    await application.get(EventStore).append({ type: 'parcel', id }, [new ParcelSent(id)]);
    const dataSource = application.get<DataSource>(getDataSourceToken());
    const rows = await dataSource.query(
      `SELECT FROM "${asyncOptions.schema}".aggregates WHERE id = $1`,
      [id],
    );
    expect(rows).toHaveLength(1);
  });

  it('takes the name of the store and the data source beside the factory', async () => {
    const application = await start({
      imports: [
        typeOrm(await database.dataSource(), 'archive'),
        EventStoreModule.forRootAsync({
          store: 'archive',
          dataSource: 'archive',
          useFactory: () => asyncOptions,
        }),
      ],
    });
    expect(application.get(getEventStoreToken('archive'))).toBeInstanceOf(EventStore);
  });

  it.each([
    ['nothing', undefined],
    ['an empty object', {}],
  ])('takes the defaults if the factory answers with %s', async (_, options) => {
    const application = await start({
      imports: [EventStoreModule.forRootAsync({ useFactory: () => options as EventStoreOptions })],
    });
    expect(await application.get(EventStore).currentPosition()).toEqual(expect.any(Number));
  });

  it.each([
    ['null', null],
    ['a string', 'event_store'],
    ['a list', []],
  ])('refuses %s as options', async (_, options) => {
    const root = EventStoreModule.forRootAsync({ useFactory: () => options as EventStoreOptions });
    expect(await problemsOf({ imports: [root] })).toEqual([
      'The options must be an object; leave them out for the defaults.',
    ]);
  });
});

describe('migrations', () => {
  it("with 'check' refuses an old schema, reports what to run, and changes nothing", async () => {
    const schema = newSchema();
    const root = EventStoreModule.forRoot({ schema, migrations: 'check' });
    const [problem, ...others] = await problemsOf({ imports: [root] });
    expect(others).toEqual([]);
    expect(problem).toBe(
      `The schema "${schema}" is at version 0 and this release needs 1. Set migrations: 'run', or ` +
        "add eventStoreMigrations() to the data source's `migrations` and run `typeorm migration:run`.",
    );
    expect(await tablesOf(schema)).toEqual([]);

    await start({ imports: [EventStoreModule.forRoot({ schema, migrations: 'run' })] });
    await start({ imports: [root] });
  });

  it.each(['run', 'check'] as const)("with '%s' refuses a newer schema", async (migrations) => {
    const schema = newSchema();
    const dataSource = await database.dataSource();
    await dataSource.query(`CREATE SCHEMA ${schema}`);
    await dataSource.query(
      `CREATE FUNCTION ${schema}.schema_version() RETURNS integer LANGUAGE sql AS 'SELECT 99'`,
    );
    const root = EventStoreModule.forRoot({ schema, migrations });
    expect(await problemsOf({ imports: [root] })).toEqual([
      `The schema "${schema}" is at version 99, newer than this release, which knows 1. ` +
        'Use the release that migrated it, or a later one.',
    ]);
  });

  it("with 'off' checks nothing: the first call notices a missing schema", async () => {
    const schema = newSchema();
    const application = await start({
      imports: [
        EventStoreModule.forRoot({ schema, migrations: 'off' }),
        EventStoreModule.forFeature(feature),
      ],
    });
    const append = application.get(EventStore).append(parcel, [new ParcelSent('Bern')]);
    await expect(append).rejects.toThrow(SchemaMismatchError);
    expect(await tablesOf(schema)).toEqual([]);
  });
});
