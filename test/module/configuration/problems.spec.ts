import { describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { AggregateRoot, CqrsModule } from '@nestjs/cqrs';
import { getDataSourceToken } from '@nestjs/typeorm';
import {
  Aggregate,
  DomainEvent,
  EventStore,
  EventStoreModule,
  everyNEvents,
  upcaster,
} from 'nest-event-store';
import { startBare, typeOrm } from '../start-application.ts';
import { feature, parcel, Parcel, ParcelSent, useParcels } from './use-parcels.ts';

const { database, start, problemsOf } = useParcels();

describe('everything that is wrong with a boot', () => {
  @DomainEvent('parcel.sent')
  class SentAgain {}
  class Unnamed {}
  @DomainEvent('parcel.lost', { revison: 2 } as never)
  class Misspelt {}
  @DomainEvent('', { revision: 0 })
  class Faulty {}
  @Aggregate('parcel', { snapshotRevision: 1.5 })
  class SecondParcel extends AggregateRoot<object> {
    constructor(readonly id: string) {
      super();
    }
  }
  @Aggregate(' ', { snapshots: 100, snapshotRevison: 2 } as never)
  class Nameless extends AggregateRoot<object> {
    constructor(readonly id: string) {
      super();
    }
  }
  const faultyFeature = {
    aggregates: [Parcel, SecondParcel, Nameless],
    events: [ParcelSent, SentAgain, Unnamed, Misspelt, Faulty],
    upcasters: [
      upcaster('parcel.stamped', 1, (payload) => payload),
      upcaster('parcel.stamped', 1, (payload) => payload),
      upcaster('parcel.weighed', 0, (payload) => payload),
      upcaster('parcel.sent', 1, (payload) => payload),
    ],
  };
  const registrationProblems = [
    "The event name 'parcel.sent' is used by two classes, ParcelSent and SentAgain. Rename one of them.",
    "The class Unnamed is listed in `events` but has no @DomainEvent of its own. Name it with @DomainEvent('…').",
    expect.stringMatching(/on Misspelt: unknown option `revison`.*did you mean `revision`\?/i),
    expect.stringContaining('@DomainEvent on Faulty: the name must be well-formed text'),
    expect.stringContaining('@DomainEvent on Faulty: `revision` must be a whole number'),
    expect.stringContaining("Two upcasters read 'parcel.stamped' at revision 1. Keep one"),
    expect.stringMatching(/upcaster.*a whole number from 1 up/),
    expect.stringContaining("An upcaster reads 'parcel.sent' at revision 1, but its class is at"),
    "The aggregate type 'parcel' is used by two classes, Parcel and SecondParcel. Rename one of them.",
    "@Aggregate('parcel') has the snapshotRevision 1.5. Use a whole number from 1 up.",
    expect.stringMatching(/^@Aggregate\(' '\): An aggregate's type is blank\./),
    "@Aggregate(' '): `snapshots` must be a policy, such as everyNEvents(100).",
    "@Aggregate(' '): unknown option `snapshotRevison`. Did you mean `snapshotRevision`? " +
      'Options are snapshots, snapshotRevision.',
  ];
  const noBus = expect.stringContaining('There is no EventBus to publish on. Import CqrsModule');

  it('is reported in one error: options, classes, and the missing bus', async () => {
    const options = {
      schem: 'x',
      stor: 'audit',
      datasource: 'archive',
      quiet: true,
      schema: 'Quoted"',
      migrations: 'sometimes',
      codec: {},
      eventBus: 'both',
      pooler: 'session',
      preparedStatements: null,
      pollIntervalMs: 1.5,
      maxEventBytes: Number.NaN,
      maxDepth: 0,
      maxAppendEvents: '10',
      maxQueuedAppends: -1,
      lockTimeoutMs: 2 ** 31,
      aggregateCacheSize: -1,
      allowRemoval: 'yes',
      transactionManager: {},
    } as never;
    // A consumer's constructor that uses the store does not hide what is wrong.
    @Injectable()
    class Eager {
      constructor(store: EventStore) {
        store.onAppended(() => undefined);
      }
    }
    const problems = await problemsOf(
      {
        imports: [
          typeOrm(await database.dataSource()),
          EventStoreModule.forRoot(options),
          EventStoreModule.forFeature(faultyFeature),
        ],
        providers: [Eager],
      },
      startBare,
    );
    const wrong = (name: string, wanted: string) => `The option '${name}' must be ${wanted}.`;
    expect(problems).toEqual([
      "There is no option 'schem'; did you mean 'schema'?",
      "There is no option 'stor'; did you mean 'store'?",
      "There is no option 'datasource'; did you mean 'dataSource'?",
      "There is no option 'quiet'. Remove it.",
      wrong('schema', 'a lower-case name of letters, digits and _, up to 63 bytes, not pg_…'),
      wrong('migrations', "one of 'run', 'check', 'off'"),
      wrong('codec', 'an EventCodec, such as new JsonCodec() or new BinaryCodec()'),
      wrong('eventBus', "one of 'own', 'all', 'off'"),
      wrong('pooler', "one of 'none', 'transaction'"),
      wrong('preparedStatements', 'true or false'),
      wrong('pollIntervalMs', 'a whole number from 10 to 2147483647'),
      wrong('maxEventBytes', 'a whole number from 1 to 134217728'),
      wrong('maxDepth', 'a whole number from 1 to 1000'),
      wrong('maxAppendEvents', 'a whole number from 1 to 1000000'),
      wrong('maxQueuedAppends', 'a whole number from 1 to 10000000'),
      wrong('lockTimeoutMs', 'a whole number from 1 to 2147483647'),
      wrong('aggregateCacheSize', 'a whole number from 0 to 100000000'),
      wrong('allowRemoval', 'true or false'),
      wrong('transactionManager', 'a function'),
      ...registrationProblems,
      noBus,
    ]);
  });

  it('is reported together with a data source that is not PostgreSQL', async () => {
    const stub = {
      provide: getDataSourceToken(),
      useValue: { options: { type: 'mysql' }, driver: {}, subscribers: [] },
    };
    @Module({ providers: [stub], exports: [stub] })
    class MySqlModule {}
    const problems = await problemsOf(
      {
        imports: [
          { module: MySqlModule, global: true },
          EventStoreModule.forRoot(),
          EventStoreModule.forFeature(faultyFeature),
        ],
      },
      startBare,
    );
    expect(problems).toEqual([
      "The data source is of type 'mysql'. The event store needs one of type 'postgres'.",
      ...registrationProblems,
      noBus,
    ]);
  });

  it('includes a pool that gives up an append while it waits for an aggregate', async () => {
    const dataSource = await database.dataSource({ extra: { query_timeout: 120_000 } });
    const withPatience = (lockTimeoutMs: number) => ({
      imports: [
        typeOrm(dataSource),
        CqrsModule.forRoot(),
        EventStoreModule.forRoot({ schema: 'patience', lockTimeoutMs }),
      ],
    });
    expect(await problemsOf(withPatience(120_000), startBare)).toEqual([
      expect.stringMatching(/after 120000 ms \(query_timeout\).+ 120000 ms .+ \(lockTimeoutMs\)/),
    ]);
    const again = await dataSource.initialize();
    expect(await again.query(`SELECT to_regnamespace('patience') AS made`)).toEqual([
      { made: null },
    ]);
    await (await startBare(withPatience(119_999))).close();
  });

  it('names the store in its message, and has a constant code', async () => {
    const root = EventStoreModule.forRoot({ store: 'archive', maxDepth: -1 });
    await expect(start({ imports: [root] })).rejects.toMatchObject({
      code: 'EVENT_STORE_CONFIGURATION',
      storeName: 'archive',
      message: expect.stringMatching(/^The event store 'archive' cannot start:\n- .*'maxDepth'/),
    });
  });

  it.each([
    ['64 bytes', 's'.repeat(64)],
    ['a quote', 'a"b'],
    ['capitals', 'Store'],
    ['a blank', 'event store'],
    ['letters beyond ASCII', 'größe'],
    ['a name of PostgreSQL', 'pg_events'],
    ['an empty name', ''],
  ])('includes a schema with %s', async (_, schema) => {
    const problems = await problemsOf({ imports: [EventStoreModule.forRoot({ schema })] });
    expect(problems).toEqual([expect.stringContaining("The option 'schema' must be")]);
  });

  it('does not include a schema of 63 bytes', async () => {
    const schema = 's'.repeat(63);
    const application = await start({
      imports: [EventStoreModule.forRoot({ schema }), EventStoreModule.forFeature(feature)],
    });
    await application.get(EventStore).append(parcel, [new ParcelSent('Bern')]);
    expect((await application.get(EventStore).fetch()).records).toHaveLength(1);
  });

  it.each([0, -1, 1.5, Number.NaN, '10'])('includes a snapshot every %s events', (count) => {
    expect(() => everyNEvents(count as number)).toThrow(RangeError);
  });
});
