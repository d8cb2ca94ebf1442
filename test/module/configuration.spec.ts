import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Inject, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { AggregateRoot, CqrsModule, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import {
  Aggregate,
  AggregateRepository,
  DomainEvent,
  EventStore,
  EventStoreConfigurationError,
  EventStoreModule,
  everyNEvents,
  getAggregateRepositoryToken,
  getEventStoreToken,
  InjectAggregateRepository,
  InjectEventStore,
  SchemaMismatchError,
  UnknownAggregateError,
  UnregisteredEventError,
  upcaster,
  type EventStoreOptions,
} from 'nest-event-store';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startApplication, startBare, typeOrm } from './start-application.ts';

@DomainEvent('parcel.sent')
class ParcelSent {
  constructor(readonly to: string) {}
}

@DomainEvent('invoice.issued')
class InvoiceIssued {
  constructor(readonly cents: number) {}
}

@Aggregate('parcel', { snapshots: everyNEvents(2) })
class Parcel extends AggregateRoot<object> {
  destination = '';

  constructor(readonly id: string) {
    super();
  }

  send(to: string): void {
    this.apply(new ParcelSent(to));
  }

  onParcelSent({ to }: ParcelSent): void {
    this.destination = to;
  }
}

const feature = { aggregates: [Parcel], events: [ParcelSent] };
const parcel = { type: 'parcel', id: 'p-1' };

let database: TestDatabase;
let applications: TestingModule[] = [];
let schemas = 0;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await Promise.all(applications.map((application) => application.close()));
  applications = [];
});
afterAll(() => database.drop());

async function start(metadata: ModuleMetadata, dataSource?: DataSource): Promise<TestingModule> {
  const application = await startApplication(dataSource ?? (await database.dataSource()), metadata);
  applications.push(application);
  return application;
}

/** Tells what keeps an application from starting. */
async function problemsOf(
  metadata: ModuleMetadata,
  boot: (metadata: ModuleMetadata) => Promise<TestingModule> = start,
): Promise<readonly string[]> {
  const error = await boot(metadata).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EventStoreConfigurationError);
  return (error as EventStoreConfigurationError).problems;
}

const newSchema = (): string => `store_${(schemas += 1)}`;
const tablesOf = async (schema: string): Promise<string[]> => {
  const dataSource = await database.dataSource();
  const rows: { table_name: string }[] = await dataSource.query(
    'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [schema],
  );
  await dataSource.destroy();
  return rows.map((row) => row.table_name);
};

describe('forRoot', () => {
  it('needs no options: the store is there for the whole application', async () => {
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

  it('keeps to the schema and the limits that it is given', async () => {
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
  ])('refuses %s for options', async (_, options) => {
    const root = EventStoreModule.forRootAsync({ useFactory: () => options as EventStoreOptions });
    expect(await problemsOf({ imports: [root] })).toEqual([
      'The options must be an object; leave them out for the defaults.',
    ]);
  });
});

describe('several stores', () => {
  it('in one application do not mix: a data source and a schema of their own, and their own classes', async () => {
    const other = await createTestDatabase();
    const schema = newSchema();
    @Injectable()
    class Office {
      constructor(
        readonly parcels: EventStore,
        @InjectEventStore('invoices') readonly invoices: EventStore,
        @InjectEventStore('drafts') readonly drafts: EventStore,
        @InjectAggregateRepository(Parcel) readonly sent: AggregateRepository<Parcel>,
        @InjectAggregateRepository(Parcel, 'drafts') readonly drafted: AggregateRepository<Parcel>,
      ) {}
    }
    const application = await start({
      imports: [
        typeOrm(await other.dataSource(), 'billing'),
        EventStoreModule.forRoot({ schema }),
        EventStoreModule.forRoot({ store: 'invoices', dataSource: 'billing', schema }),
        EventStoreModule.forRoot({ store: 'drafts', schema: newSchema() }),
        EventStoreModule.forFeature(feature),
        EventStoreModule.forFeature({ events: [InvoiceIssued] }, { store: 'invoices' }),
        EventStoreModule.forFeature(feature, { store: 'drafts' }),
      ],
      providers: [Office],
    });
    const { parcels, invoices, drafts, sent, drafted } = application.get(Office);
    expect(new Set([parcels, invoices, drafts]).size).toBe(3);
    expect(application.get(getEventStoreToken())).toBe(parcels);
    expect(application.get(getEventStoreToken('drafts'))).toBe(drafts);
    expect(application.get(getAggregateRepositoryToken(Parcel))).toBe(sent);
    expect(application.get(getAggregateRepositoryToken(Parcel, 'drafts'))).toBe(drafted);

    const inEach = new Parcel('p-2');
    inEach.send('Bern');
    await sent.save(inEach);
    await invoices.append({ type: 'invoice', id: 'i-1' }, [new InvoiceIssued(990)]);
    expect(await drafted.find('p-2')).toBeNull();
    expect((await sent.load('p-2')).destination).toBe('Bern');
    expect((await parcels.fetch()).records.map((record) => record.type)).toEqual(['parcel.sent']);
    expect((await invoices.fetch()).records.map((record) => record.type)).toEqual([
      'invoice.issued',
    ]);
    expect((await drafts.fetch()).records).toEqual([]);
    await expect(parcels.append(parcel, [new InvoiceIssued(1)])).rejects.toThrow(
      UnregisteredEventError,
    );

    await application.close();
    applications = [];
    await other.drop();
  });

  it('in two applications of one process share nothing but the database', async () => {
    const schema = newSchema();
    const imports = [EventStoreModule.forRoot({ schema }), EventStoreModule.forFeature(feature)];
    const [one, two] = await Promise.all([start({ imports }), start({ imports })]);
    expect(one.get(EventStore)).not.toBe(two.get(EventStore));

    const repository = one.get<AggregateRepository<Parcel>>(getAggregateRepositoryToken(Parcel), {
      strict: false,
    });
    const sent = new Parcel('p-1');
    sent.send('Bern');
    await repository.save(sent);
    await one.close();
    applications = [two];
    expect(await two.get(EventStore).currentVersion(parcel)).toBe(1);
    await expect(
      one.get(EventStore).append(parcel, [new ParcelSent('Basel')]),
    ).rejects.toMatchObject({ code: 'STORE_CLOSED' });
  });

  it('that closes answers the calls that were made before', async () => {
    const imports = [EventStoreModule.forRoot({ schema: newSchema() })];
    const application = await start({
      imports: [...imports, EventStoreModule.forFeature(feature)],
    });
    applications = [];
    const store = application.get(EventStore);
    const calls = [
      store.fetch(),
      store.currentVersion(parcel),
      store.append(parcel, [new ParcelSent('Basel')]),
      store.transaction(async () => 'done'),
    ];
    await application.close();
    const answers = await Promise.all(calls);
    expect(answers.at(-1)).toBe('done');
  });
});

describe('forFeature', () => {
  it('called twice with equal arguments registers once and provides one repository', async () => {
    @Injectable()
    class Sender {
      constructor(
        @InjectAggregateRepository(Parcel) readonly parcels: AggregateRepository<Parcel>,
      ) {}
    }
    @Injectable()
    class Tracker {
      @InjectAggregateRepository(Parcel) readonly parcels!: AggregateRepository<Parcel>;
      @Inject(getEventStoreToken()) readonly store!: EventStore;
    }
    @Module({ imports: [EventStoreModule.forFeature({ ...feature })], providers: [Sender] })
    class SenderModule {}
    @Module({ imports: [EventStoreModule.forFeature({ ...feature })], providers: [Tracker] })
    class TrackerModule {}

    const application = await start({
      imports: [SenderModule, TrackerModule, EventStoreModule.forRoot({ schema: newSchema() })],
    });
    const sender = application.get(Sender, { strict: false });
    const tracker = application.get(Tracker, { strict: false });
    expect(sender.parcels).toBeInstanceOf(AggregateRepository);
    expect(sender.parcels).toBe(tracker.parcels);
    const sent = new Parcel('p-1');
    sent.send('Bern');
    sent.send('Basel');
    await tracker.parcels.save(sent);
    expect(await tracker.store.getSnapshot(parcel)).toEqual({
      version: 2,
      state: { destination: 'Basel' },
    });
  });

  it.each([
    [undefined, "'default', which does not exist. Add EventStoreModule.forRoot()"],
    ['archive', "'archive', which does not exist. Add EventStoreModule.forRoot()"],
  ])('without a forRoot says where to add it (store %s)', async (name, message) => {
    const root = name ? [EventStoreModule.forRoot({ schema: newSchema() })] : [];
    const problems = await problemsOf({
      imports: [...root, EventStoreModule.forFeature(feature, name ? { store: name } : {})],
    });
    expect(problems).toEqual([expect.stringContaining(message)]);
    if (name) expect(problems[0]).toContain("with store: 'archive'");
  });

  it('refuses a class that is no aggregate, by its name', () => {
    class Undecorated extends Parcel {}
    expect(() => EventStoreModule.forFeature({ aggregates: [Undecorated] })).toThrow(
      UnknownAggregateError,
    );
    expect(() => InjectAggregateRepository(Undecorated)).toThrow('Undecorated');
  });
});

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
      quiet: true,
      schema: 'Quoted"',
      migrations: 'sometimes',
      codec: {},
      eventBus: 'both',
      pollIntervalMs: 1.5,
      maxEventBytes: Number.NaN,
      maxDepth: 0,
      maxAppendEvents: '10',
      maxQueuedAppends: -1,
      lockTimeoutMs: 2 ** 31,
      aggregateCacheSize: -1,
      allowRemoval: 'yes',
      preparedStatements: null,
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
      "There is no option 'quiet'. Remove it.",
      wrong('schema', 'a lower-case name of letters, digits and _, up to 63 bytes, not pg_…'),
      wrong('migrations', "one of 'run', 'check', 'off'"),
      wrong('codec', 'an EventCodec, such as new JsonCodec() or new BinaryCodec()'),
      wrong('eventBus', "one of 'own', 'all', 'off'"),
      wrong('pollIntervalMs', 'a whole number from 10 to 2147483647'),
      wrong('maxEventBytes', 'a whole number from 1 to 134217728'),
      wrong('maxDepth', 'a whole number from 1 to 1000'),
      wrong('maxAppendEvents', 'a whole number from 1 to 1000000'),
      wrong('maxQueuedAppends', 'a whole number from 1 to 10000000'),
      wrong('lockTimeoutMs', 'a whole number from 1 to 2147483647'),
      wrong('aggregateCacheSize', 'a whole number from 0 to 100000000'),
      wrong('allowRemoval', 'true or false'),
      wrong('preparedStatements', 'true or false'),
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

  it('is a pool that takes appends which wait for an aggregate for lost ones', async () => {
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
  ])('is a schema with %s', async (_, schema) => {
    const problems = await problemsOf({ imports: [EventStoreModule.forRoot({ schema })] });
    expect(problems).toEqual([expect.stringContaining("The option 'schema' must be")]);
  });

  it('is not a schema of 63 bytes', async () => {
    const schema = 's'.repeat(63);
    const application = await start({
      imports: [EventStoreModule.forRoot({ schema }), EventStoreModule.forFeature(feature)],
    });
    await application.get(EventStore).append(parcel, [new ParcelSent('Bern')]);
    expect((await application.get(EventStore).fetch()).records).toHaveLength(1);
  });

  it.each([0, -1, 1.5, Number.NaN, '10'])('is a snapshot every %s events', (count) => {
    expect(() => everyNEvents(count as number)).toThrow(RangeError);
  });
});

describe('migrations', () => {
  it("with 'check' refuses an old schema, says what to run, and touches nothing", async () => {
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

  it("with 'off' does not look: a missing schema is noticed by the first call", async () => {
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
