import { describe, expect, it } from '@jest/globals';
import {
  DomainEventEntity,
  EventStore,
  eventStoreEntities,
  eventStoreMigrations,
  EventStoreModule,
} from 'nest-event-store';
import { DefaultNamingStrategy } from 'typeorm';
import { tally } from '../../support/tally.ts';
import { startApplication } from '../start-application.ts';
import { parcel, ParcelSent, useBoots } from './use-boots.ts';

const given = useBoots();
const { create, start, problemsOf } = given;

describe('the TypeORM entities', () => {
  class Shouting extends DefaultNamingStrategy {
    override tableName(target: string, given?: string): string {
      return (given ?? target).toUpperCase();
    }
    override columnName(property: string, given: string, prefixes: string[]): string {
      return super.columnName(property, given, prefixes).toUpperCase();
    }
  }

  it.each([
    ['an entityPrefix', { entityPrefix: 'app_' }],
    ['a naming strategy', { namingStrategy: new Shouting() }],
    ['both', { entityPrefix: 'app_', namingStrategy: new Shouting() }],
  ])(
    'read the tables of the store, whatever names the data source gives: %s',
    async (_, naming) => {
      await create();
      const source = await given.database.dataSource({ entities: eventStoreEntities(), ...naming });
      const application = await startApplication(source, {
        imports: [
          EventStoreModule.forRoot(),
          EventStoreModule.forFeature({ events: [ParcelSent] }),
        ],
      });
      given.applications.push(application);
      const [record] = (
        await application.get(EventStore).append(parcel('a'), [new ParcelSent('B')])
      ).records;
      const rows = await source.getRepository(DomainEventEntity).find({
        where: { aggregate: parcel('a'), eventId: record!.id },
        relations: { aggregate: true },
      });
      expect(rows).toMatchObject([
        { version: '1', payload: { to: 'B' }, aggregate: { ...parcel('a'), version: '1' } },
      ]);
      expect(rows[0]!.aggregateKey).toBe(rows[0]!.aggregate.key);
    },
  );
});

describe('a schema in pieces', () => {
  it('that held no events is created again, as after dropSchema', async () => {
    await create();
    const options = { entities: eventStoreEntities(), synchronize: true, dropSchema: true };
    await start({}, options);
    const store = await start({}, options);
    await store.append(parcel('a'), [new ParcelSent('Bern')]);
    expect((await store.fetch()).records).toHaveLength(1);
    tally('F26', { acknowledged: 1 });
  });

  it("is created again by TypeORM's migrations too", async () => {
    await create();
    await start();
    const options = {
      entities: eventStoreEntities(),
      migrations: eventStoreMigrations(),
      dropSchema: true,
      migrationsRun: true,
    };
    const store = await start({ migrations: 'check' }, options);
    await store.append(parcel('a'), [new ParcelSent('Bern')]);
  });

  it.each([
    ['a table', 'DROP TABLE event_store.checkpoints CASCADE', 'table checkpoints'],
    ['a function', 'DROP FUNCTION event_store.read_log', 'function read_log'],
    ['a trigger', 'DROP TRIGGER domain_events_no_truncate ON event_store.domain_events', 'trigger'],
    ['a key', 'ALTER TABLE event_store.domain_events DROP CONSTRAINT domain_events_pkey', '_pkey'],
    ['its version', 'DROP FUNCTION event_store.schema_version()', 'schema_version'],
  ])('that holds events is refused without %s, which is named', async (_, sql, named) => {
    const admin = await create();
    const store = await start();
    await store.append(parcel('a'), [new ParcelSent('Bern')]);
    await admin.query(sql);
    for (const migrations of ['run', 'check'] as const) {
      expect(await problemsOf({ migrations })).toEqual([
        expect.stringMatching(new RegExp(`in pieces.*lacks.*${named}.*Restore it as a whole`)),
      ]);
    }
    tally('F26');
  });
});
