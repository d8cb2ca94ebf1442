import { afterEach, describe, expect, it } from '@jest/globals';
import {
  DomainEvent,
  DomainEventEntity,
  EventStore,
  EventStoreConfigurationError,
  eventStoreEntities,
  eventStoreMigrations,
  EventStoreModule,
  type EventStoreOptions,
} from 'nest-event-store';
import type { TestingModule } from '@nestjs/testing';
import { type DataSource, DefaultNamingStrategy } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { Counted, openStore } from '../support/store.ts';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { tally } from '../support/tally.ts';
import { startApplication } from './start-application.ts';

@DomainEvent('parcel.sent')
class ParcelSent {
  constructor(readonly to: string) {}
}

const parcel = (id: string) => ({ type: 'parcel', id });
const schema = 'event_store';

let database: TestDatabase;
let applications: TestingModule[] = [];

afterEach(async () => {
  await Promise.all(applications.map((application) => application.close()));
  applications = [];
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

const tables = (admin: DataSource) =>
  admin.query(`SELECT FROM pg_tables WHERE schemaname = '${schema}'`) as Promise<unknown[]>;

describe('a boot', () => {
  it.each(['LATIN1', 'SQL_ASCII'])('refuses a database in %s, and makes nothing', async (name) => {
    const admin = await create({ clauses: `ENCODING ${name} LOCALE 'C' TEMPLATE template0` });
    expect(await problemsOf()).toEqual([
      expect.stringMatching(`encoding ${name}.*server_encoding`),
    ]);
    expect(await tables(admin)).toEqual([]);
    tally('F27');
  });

  it('reports everything that it cannot work with in one error', async () => {
    await create({
      settings: { default_transaction_read_only: 'on', session_replication_role: 'replica' },
    });
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/^default_transaction_read_only is on/),
      expect.stringMatching(/^session_replication_role is replica/),
    ]);
    tally('F27');
  });

  it('refuses a server whose advisory locks do nothing', async () => {
    const admin = await create();
    await admin.query(
      `CREATE OR REPLACE FUNCTION pg_catalog.pg_try_advisory_xact_lock_shared(integer, integer)
      RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT true'`,
    );
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/does not work like PostgreSQL.*does not show in pg_locks/),
    ]);
    expect(await tables(admin)).toEqual([]);
  });

  it('refuses a server that hands out numbers in blocks', async () => {
    const admin = await create();
    await admin.query(
      `CREATE OR REPLACE FUNCTION pg_catalog.nextval(regclass) RETURNS bigint LANGUAGE sql VOLATILE AS
        $$ SELECT setval($1, coalesce(pg_sequence_last_value($1), 0) + 50) - 49 $$`,
    );
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/does not work like PostgreSQL.*handed out in blocks/),
    ]);
  });
});

describe('appends', () => {
  it('wait for the disk though synchronous_commit is off, unless they are in your transaction', async () => {
    await create({ settings: { synchronous_commit: 'off', client_min_messages: 'error' } });
    const store = await start({ allowRemoval: true });
    const source = await database.dataSource();
    // Fires at the commit.
    await source.query(`
      CREATE TABLE public.commits (n serial, setting text, messages text);
      CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO public.commits (setting, messages) VALUES (
          pg_catalog.current_setting('synchronous_commit'),
          pg_catalog.current_setting('client_min_messages')
        );
        RETURN NULL;
      END $$;
      CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT OR DELETE ON ${schema}.domain_events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_commit()`);
    await store.append(parcel('one'), [new ParcelSent('Bern')]);
    await store.append(parcel('two'), [new ParcelSent('Bern'), new ParcelSent('Thun')]);
    await store.appendAll([{ aggregate: parcel('all'), events: [new ParcelSent('Basel')] }]);
    await source.transaction(async (manager) => {
      await store.append(parcel('yours'), [new ParcelSent('Chur')], { manager });
    });
    await store.removeEvents(parcel('one'));
    const rows: { setting: string }[] = await source.query(
      'SELECT setting FROM public.commits ORDER BY n',
    );
    expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on', 'on', 'on', 'off', 'on']);
    // What the session is set to has not changed.
    expect(await source.query('SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'off' }]);
  });
});

/** A store with a consumer that notes the positions it has heard of. */
async function startHearing() {
  const application = await database.dataSource();
  const store = await openStore(application);
  const heard: number[] = [];
  const started = await startConsumers(
    application,
    store,
    [
      consumer('heard', async (records) => {
        heard.push(...records.map(({ position }) => position));
      }),
    ],
    { leaseMs: 500 },
  );
  const stop = async (): Promise<void> => {
    await started.stop();
    await store.close();
  };
  return { ...started, store, heard, stop };
}

describe('the sequence of positions', () => {
  const setBack = async (admin: DataSource): Promise<void> => {
    await admin.query(`SELECT setval('${schema}.positions', 2)`);
    await admin.query(`SELECT setval('${schema}.aggregates_key_seq', 1)`);
  };
  const events = (count: number) => Array.from({ length: count }, (_, n) => new ParcelSent(`${n}`));

  /** Says that a consumer has come further than the sequence. */
  const putCheckpointAt = async (admin: DataSource, position: number): Promise<void> => {
    await admin.query(
      `INSERT INTO ${schema}.consumers (name, kind, partitions, generation)
        VALUES ('ahead', 'projection', 1, 1)`,
    );
    await admin.query(
      `INSERT INTO ${schema}.checkpoints (consumer, generation, partition, position)
        VALUES ('ahead', 1, 0, $1)`,
      [position],
    );
  };
  const countBelow = async (admin: DataSource, position: number): Promise<number> => {
    const sql = `SELECT count(*)::integer AS n FROM ${schema}.domain_events WHERE position <= $1`;
    return (await admin.query(sql, [position]))[0].n;
  };

  it.each(['check', 'off'] as const)(
    "that is behind the log is refused with '%s'",
    async (migrations) => {
      const admin = await create();
      const store = await start();
      await store.append(parcel('a'), events(5));
      await store.append(parcel('b'), events(5));
      await setBack(admin);
      expect(await problemsOf({ migrations })).toEqual([
        expect.stringMatching(/positions is at 2, behind position 10.*migrations: 'run'/),
        expect.stringMatching(/aggregates_key_seq is at 1, behind key \d+.*migrations: 'run'/),
      ]);
      tally('F26');
    },
  );

  it("that is behind the log is repaired with 'run'", async () => {
    const admin = await create();
    const first = await start();
    await first.append(parcel('a'), events(10));
    await first.append(parcel('b'), events(1));
    await setBack(admin);
    const store = await start();
    const { position } = await store.append(parcel('c'), events(1));
    expect(position).toBe(12);
    expect((await store.fetch(11)).records).toHaveLength(1);
    await start({ migrations: 'check' });
    tally('F26', { acknowledged: 3, lost: 0, skipped: 0 });
  });

  it('that is behind a checkpoint is repaired as well', async () => {
    const admin = await create();
    const store = await start();
    await store.append(parcel('a'), events(10));
    await putCheckpointAt(admin, 20);
    const again = await start();
    expect((await again.append(parcel('b'), events(1))).position).toBe(21);
  });

  it('that is behind a removed event is repaired as well', async () => {
    const admin = await create();
    const store = await start({ allowRemoval: true });
    await store.append(parcel('a'), events(10));
    await store.removeEvents(parcel('a'));
    await setBack(admin);
    const again = await start();
    expect((await again.append(parcel('b'), events(1))).position).toBe(11);
  });

  it('is named by an append that meets it, and by consumers, which continue once it is repaired', async () => {
    const admin = await create();
    const { store, heard, control, messages, stop } = await startHearing();
    try {
      await store.append(
        parcel('a'),
        Array.from({ length: 10 }, () => new Counted(1)),
      );
      await control.waitFor('heard', 10);
      await setBack(admin);
      await eventually(() =>
        messages.some((message) => message.includes('is at 2, and position 10')),
      );
      await expect(store.append(parcel('a'), [new Counted(2)])).rejects.toMatchObject({
        code: 'CONSTRAINT_VIOLATED',
        message: expect.stringContaining("migrations: 'run'"),
      });
      await new Migrator(admin, schema).run();
      const { position } = await store.append(parcel('a'), [new Counted(3)]);
      await control.waitFor('heard', position);
      expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, position]);
    } finally {
      await stop();
    }
    tally('F26', { acknowledged: 2, lost: 0, skipped: 0, doubled: 0 });
  });

  it('with a cache halts consumers until it is repaired', async () => {
    const admin = await create();
    const { store, heard, control, messages, stop } = await startHearing();
    try {
      await store.append(parcel('a'), [new Counted(1)]);
      await control.waitFor('heard', 1);
      await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 50`);
      await eventually(() => messages.some((message) => message.includes('it has a cache')));
      await eventually(async () => (await control.list()).consumers[0]!.status === 'waiting');
      await new Migrator(admin, schema).run();
      const { position } = await store.append(parcel('a'), [new Counted(2)]);
      await control.waitFor('heard', position);
      expect(heard).toEqual([1, position]);
    } finally {
      await stop();
    }
    tally('F26', { acknowledged: 2, lost: 0, skipped: 0, doubled: 0 });
  });

  it('with a cache is refused, and repaired although connections have drawn ahead', async () => {
    const admin = await create();
    const store = await start();
    await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 50`);
    expect(await problemsOf({ migrations: 'check' })).toEqual([
      expect.stringMatching(/CACHE 50 NO CYCLE instead of.*CACHE 1.*migrations: 'run'/),
    ]);
    const { position: cached } = await store.append(parcel('a'), events(1));
    const other = await start();
    const { position } = await other.append(parcel('b'), events(1));
    expect(position).toBeGreaterThan(cached + 1);
    // The first one still has positions of its block, were they not taken from it.
    expect((await store.append(parcel('c'), events(1))).position).toBe(position + 1);
    tally('F26', { acknowledged: 3 });
  });

  it('is repaired once the appends that are open have ended', async () => {
    const admin = await create();
    const store = await start();
    await putCheckpointAt(admin, 1_000);
    let repairing: Promise<unknown> | undefined;
    await admin.transaction(async (manager) => {
      await store.append(parcel('open'), events(1), { manager });
      repairing = start();
      await eventually(async () => {
        const waiting: unknown[] = await manager.query(
          `SELECT FROM pg_locks AS k JOIN pg_database AS d ON d.oid = k.database
            WHERE d.datname = current_database() AND NOT k.granted`,
        );
        return waiting.length > 0;
      });
    });
    await repairing;
    expect((await store.append(parcel('b'), events(1))).position).toBe(1_001);
  });

  it('is repaired beside appends of other processes: none is stored below it afterwards', async () => {
    const admin = await create();
    const writers = await Promise.all([1, 2, 3].map(() => start()));
    await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 20`);
    let isOver = false;
    let before = 0;
    const writing = writers.map(async (store, writer) => {
      for (let n = 0; !isOver; n++) {
        const aggregate = parcel(`w-${writer}-${n % 5}`);
        const { position } = await store.append(aggregate, events(1 + (n % 3)));
        if (position < 1_000_000) before += 1;
      }
    });
    await eventually(() => before > 30);
    await putCheckpointAt(admin, 1_000_000);
    await start();
    const stored = await countBelow(admin, 1_000_000);
    const wereBefore = before;
    await eventually(async () => (await writers[0]!.currentPosition()) > 1_000_100);
    isOver = true;
    await Promise.all(writing);
    expect(await countBelow(admin, 1_000_000)).toBe(stored);
    // At most the answers that were under way.
    expect(before - wereBefore).toBeLessThanOrEqual(writers.length);
    tally('F26', { acknowledged: before });
  });
});

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
  ])('read the tables of the store, whatever the data source has: %s', async (_, naming) => {
    database = await createTestDatabase();
    const source = await database.dataSource({ entities: eventStoreEntities(), ...naming });
    const application = await startApplication(source, {
      imports: [EventStoreModule.forRoot(), EventStoreModule.forFeature({ events: [ParcelSent] })],
    });
    applications.push(application);
    const [record] = (await application.get(EventStore).append(parcel('a'), [new ParcelSent('B')]))
      .records;
    const rows = await source.getRepository(DomainEventEntity).find({
      where: { aggregate: parcel('a'), eventId: record!.id },
      relations: { aggregate: true },
    });
    expect(rows).toMatchObject([
      { version: '1', payload: { to: 'B' }, aggregate: { ...parcel('a'), version: '1' } },
    ]);
    expect(rows[0]!.aggregateKey).toBe(rows[0]!.aggregate.key);
  });
});

describe('a schema in pieces', () => {
  it('that held nothing is made again, as after dropSchema', async () => {
    database = await createTestDatabase();
    const options = { entities: eventStoreEntities(), synchronize: true, dropSchema: true };
    await start({}, options);
    const store = await start({}, options);
    await store.append(parcel('a'), [new ParcelSent('Bern')]);
    expect((await store.fetch()).records).toHaveLength(1);
    tally('F26', { acknowledged: 1 });
  });

  it("is made again by TypeORM's migrations too", async () => {
    database = await createTestDatabase();
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
