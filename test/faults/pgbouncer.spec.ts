import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import { Injectable, Logger } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import {
  Consumers,
  DomainEvent,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  type EventStoreOptions,
} from 'nest-event-store';
import { Database } from '../../lib/postgres/connection/database.ts';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { findSessions } from '../../lib/postgres/connection/checks/sessions.ts';
import { startApplication } from '../module/start-application.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { findingsOfHistory } from '../support/history/history.findings.ts';
import { readJournal } from '../support/history/journal.ts';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { readHistory } from '../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { type LedgerProcess, startLedger } from '../support/ledger/ledger.ts';
import {
  hasPgBouncer,
  keepsStatements,
  type Pooler,
  type PoolerOptions,
  startPooler,
} from '../support/pgbouncer.ts';
import { postgresContract } from '../support/postgres-contract.ts';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';
import { readLog } from './harness/stored-log.ts';

const schema = 'event_store';

const withoutSessions = { pooler: 'transaction' } as const;

@DomainEvent('bell.rung')
class BellRung {
  constructor(readonly times: number) {}
}

@Projection('bells')
@Injectable()
class Bells {
  @On(BellRung)
  rung(): void {
    // Where it has come to is enough to know.
  }
}

const skip = it.skip;
const describeBehindPgBouncer = hasPgBouncer
  ? describe
  : (subject: string) =>
      skip(`${subject} (needs PgBouncer, as by apt-get install pgbouncer)`, () => undefined);

const itKeepingStatements = keepsStatements ? it : it.skip;

/** What a spec has opened, to be closed behind it, the last first. */
const opened: (() => Promise<unknown>)[] = [];
async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).toReversed()) await close();
}

async function openDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  opened.push(() => database.drop());
  return database;
}

async function openPooler(url: string, options?: PoolerOptions): Promise<Pooler> {
  const pooler = await startPooler(url, options);
  opened.push(() => pooler.stop());
  return pooler;
}

async function connect(url: string, poolSize = 10): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', url, poolSize, installExtensions: false });
  await dataSource.initialize();
  opened.push(async () => dataSource.isInitialized && dataSource.destroy());
  return dataSource;
}

describeBehindPgBouncer('a store behind PgBouncer', () => {
  afterAll(closeAll);

  describe('PostgresEventStore', () => {
    let direct: DataSource;
    let pooled: DataSource;

    beforeAll(async () => {
      const { url } = await openDatabase();
      direct = await connect(url);
      pooled = await connect((await openPooler(url)).url);
      await new Migrator(pooled, schema).run();
    });
    afterAll(closeAll);

    postgresContract({
      application: () => pooled,
      owner: () => direct,
      options: withoutSessions,
    });
  });

  it('a schema is migrated once by several that start together', async () => {
    const { url } = await openDatabase();
    const pooler = await openPooler(url);
    const starting = await Promise.all([1, 2, 3, 4, 5].map(() => connect(pooler.url)));
    await Promise.all(starting.map((dataSource) => new Migrator(dataSource, schema).run()));
    expect(await new Migrator(starting[0]!, schema).check()).toBeUndefined();
  });

  describe('processes with all kinds of consumers', () => {
    let direct: DataSource;
    let pooler: Pooler;
    let directory: string;
    let start: (name: string) => Promise<LedgerProcess>;
    let one: LedgerProcess;
    let two: LedgerProcess;

    beforeEach(async () => {
      const { url } = await openDatabase();
      direct = await connect(url);
      await direct.query(createLedgerTables);
      pooler = await openPooler(url, { poolSize: 12 });
      directory = await mkdtemp(join(tmpdir(), 'nest-event-store-pooler-'));
      start = (name) =>
        startLedger({
          ...withoutSessions,
          url: pooler.url,
          leaseMs: 600,
          pollIntervalMs: 100,
          timeoutMs: 300,
          journal: join(directory, name),
        });
      [one, two] = await Promise.all([start('one'), start('two')]);
    });
    afterEach(async () => {
      await killAll();
      await closeAll();
      await rm(directory, { recursive: true });
    });

    it('count each event once, although the owner of a lease was frozen past its end', async () => {
      const account = { type: 'account', id: 'frozen' };
      const first = await one.call.append(account, [1, 2, 3]);
      await one.call.waitFor('balances', first);
      const [lease] = await direct.query(
        `SELECT owner FROM ${schema}.checkpoints WHERE consumer = 'balances'`,
      );
      const [owner, other] = lease.owner.includes(`/${one.pid}/`) ? [one, two] : [two, one];
      await owner.call.closeGate('balances');
      const position = await other.call.append(account, [4, 5, 6]);
      await owner.call.arrivedAtGate('balances');
      owner.freeze();
      await other.call.waitFor('balances', position);
      owner.thaw();
      await owner.call.openGate('balances');
      const last = await owner.call.append(account, [7]);
      await owner.call.waitFor('balances', last);
      expect(findingsOf(await readHistory(direct))).toEqual([]);
    });

    it('lose, double and skip nothing under load, although one is killed', async () => {
      const from = seed();
      const journals = ['one', 'two', 'three'].map((name) => join(directory, name));
      const load = async ({ call }: LedgerProcess, name: string, reader: string, after = 0) =>
        call.startWorkload({
          seed: from,
          name,
          writers: 5,
          readers: [{ name: reader, after }],
          pauseMs: 10,
        });
      await Promise.all([load(one, 'one', 'first'), load(two, 'two', 'second')]);
      const hasEvents = async (count: number) =>
        eventually(async () => (await readLog(direct)).length > count);
      await hasEvents(200);
      await one.kill();
      const three = await start('three');
      const read = readJournal(journals[0]!).pages.at(-1)?.position;
      await load(three, 'three', 'first', read);
      await hasEvents((await readLog(direct)).length + 200);
      await Promise.all([two.call.stopWorkload(), three.call.stopWorkload()]);

      const log = await readLog(direct);
      for (const name of ['balances', 'turnover', 'journal', 'letters', 'receipts']) {
        await three.call.waitFor(name, log.at(-1)!.position);
      }
      const told = journals.map(readJournal);
      const history = {
        attempts: told.flatMap(({ attempts }) => attempts),
        pages: told.flatMap(({ pages }) => pages),
        versionReads: told.flatMap(({ versionReads }) => versionReads),
        log,
      };
      const findings = [...findingsOfHistory(history), ...findingsOf(await readHistory(direct))];
      const answered = history.attempts.filter(({ outcome }) => outcome === 'acknowledged');
      tally('F13', { acknowledged: answered.length, ...countFindings(findings) });
      expect(answered.length).toBeGreaterThan(100);
      expect(findings).toEqual([]);
      await Promise.all([two.stop(), three.stop()]);
      expect(await leftInSessions(pooler, 12)).toEqual([]);
    });
  });

  describe('an application that starts', () => {
    const said: string[] = [];
    let database: TestDatabase;
    let applications: TestingModule[] = [];

    beforeAll(() => {
      for (const level of ['log', 'warn'] as const) {
        jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
          if (String(message).includes('pooler')) said.push(`${level}: ${String(message)}`);
        });
      }
    });
    beforeEach(async () => {
      said.length = 0;
      database = await openDatabase();
    });
    afterEach(async () => {
      await Promise.all(applications.map((each) => each.close()));
      applications = [];
      await closeAll();
    });
    afterAll(() => void jest.restoreAllMocks());

    async function startAt(url: string, options: EventStoreOptions): Promise<TestingModule> {
      const application = await startApplication(await connect(url), {
        imports: [
          EventStoreModule.forRoot({ schema, ...options }),
          EventStoreModule.forFeature({ events: [BellRung] }),
        ],
        providers: [Bells],
      });
      applications.push(application);
      return application;
    }

    /** Lets one process append, and waits until the consumer of another has come so far. */
    async function ring(writer: TestingModule, reader: TestingModule): Promise<void> {
      const { position } = await writer
        .get(EventStore)
        .append({ type: 'bell', id: '1' }, [new BellRung(1)]);
      await reader.get(Consumers).waitFor('bells', position, patiently);
    }

    it('with prepared statements is refused, before it has migrated anything', async () => {
      const pooler = await openPooler(database.url, {
        settings: keepsStatements ? { max_prepared_statements: 0 } : {},
      });
      const pooled = { ...withoutSessions, preparedStatements: true };
      for (const [options, remedy] of [
        [{}, "Set pooler: 'transaction', or"],
        [pooled, 'Leave preparedStatements: true out, or'],
      ] as const) {
        await expect(startAt(pooler.url, options)).rejects.toMatchObject({
          code: 'EVENT_STORE_CONFIGURATION',
          problems: [expect.stringContaining(remedy)],
        });
      }
      expect(said).toEqual([]);
      const direct = await connect(database.url);
      expect(await direct.query(`SELECT FROM pg_namespace WHERE nspname = '${schema}'`)).toEqual(
        [],
      );
    });

    itKeepingStatements(
      'with prepared statements works where the pooler keeps them apart (from 1.21 on)',
      async () => {
        const pooler = await openPooler(database.url, {
          settings: { max_prepared_statements: 100 },
        });
        const prepared = { preparedStatements: true, pollIntervalMs: 50 };
        const application = await startAt(pooler.url, { ...withoutSessions, ...prepared });
        await Promise.all(Array.from({ length: 50 }, () => ring(application, application)));
        expect(said).toEqual([expect.stringContaining('log: ')]);
        await startAt(pooler.url, prepared);
        expect(said[1]).toMatch(
          /^warn: .*Set pooler: 'transaction' and preparedStatements: true, or/,
        );
      },
    );

    it('with LISTEN says that it does not hear others, finds their appends, and announces its own', async () => {
      const pooler = await openPooler(database.url);
      const pooled = await startAt(pooler.url, { preparedStatements: false, pollIntervalMs: 50 });
      expect(said).toEqual([
        expect.stringMatching(
          /^warn: .*LISTEN does not work: .* every 50 ms\. Set pooler: 'transaction', or/,
        ),
      ]);
      const writer = await startAt(database.url, { autoStart: false });
      await ring(writer, pooled);
      expect(await leftInSessions(pooler, 4)).toEqual([]);
      await pooled.close();

      const reader = await startAt(database.url, { pollIntervalMs: 60_000 });
      const teller = await startAt(pooler.url, { ...withoutSessions, autoStart: false });
      await ring(teller, reader);
    });

    it('in transaction mode says how appends of others are found', async () => {
      const pooler = await openPooler(database.url);
      await startAt(pooler.url, { ...withoutSessions, pollIntervalMs: 70 });
      expect(said).toEqual([
        expect.stringMatching(
          /^log: .*consumers find what other processes append .* every 70 ms\.$/,
        ),
      ]);
    });

    it.each(['session mode', 'no pooler'])(
      'has nothing to say, and listens: %s',
      async (between) => {
        const url =
          between === 'no pooler'
            ? database.url
            : (await openPooler(database.url, { mode: 'session', poolSize: 40 })).url;
        const reader = await startAt(url, { pollIntervalMs: 60_000 });
        const writer = await startAt(url, { pollIntervalMs: 60_000, autoStart: false });
        await ring(writer, reader);
        expect(said).toEqual([]);
      },
    );

    it.each([
      ['transaction', 0, true],
      ['transaction', 1, true],
      ['session', 0, false],
    ] as const)(
      'finds out for sure under load: %s mode (server_round_robin = %s)',
      async (mode, server_round_robin, areShared) => {
        const pooler = await openPooler(database.url, {
          mode,
          // Two that take turns are the hardest to tell from two that are each one's own.
          poolSize: mode === 'session' ? 20 : 2,
          settings: { server_round_robin },
        });
        const dataSource = await connect(pooler.url);
        let isOver = false;
        const traffic = Array.from({ length: 6 }, async () => {
          while (!isOver) await dataSource.query('SELECT pg_sleep(random() / 500)');
        });
        const sessions = new Database(dataSource, { preparedStatements: false });
        const busy = [];
        for (let n = 0; n < 20; n++) busy.push((await findSessions(sessions)).areShared);
        isOver = true;
        await Promise.all(traffic);
        const quiet = [];
        for (let n = 0; n < 20; n++) quiet.push((await findSessions(sessions)).areShared);
        expect([...busy, ...quiet]).toEqual(Array(40).fill(areShared));
      },
    );
  });
});

/** What was set up in the pooler's sessions and would befall whoever has them next. */
async function leftInSessions({ url }: Pooler, poolSize: number): Promise<string[]> {
  const dataSource = await connect(url, poolSize);
  // All of them at once, so that each is seen.
  const runners = Array.from({ length: poolSize }, () => dataSource.createQueryRunner());
  const left: { what: string }[] = [];
  for (const runner of runners) {
    await runner.startTransaction();
    left.push(...(await runner.query(readLeft)));
  }
  for (const runner of runners) {
    await runner.rollbackTransaction();
    await runner.release();
  }
  return left.map(({ what }) => what);
}

// PgBouncer itself sets those that it leaves to each client.
const readLeft = `
  SELECT 'listens to ' || c AS what FROM pg_listening_channels() AS c
  UNION ALL SELECT 'holds a lock' FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'advisory'
  UNION ALL SELECT 'has prepared ' || name FROM pg_prepared_statements
  UNION ALL SELECT 'has set ' || name FROM pg_settings
  WHERE source = 'session' AND name NOT IN (
    'application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
    'IntervalStyle', 'transaction_isolation'
  )
  UNION ALL SELECT 'has made ' || relname FROM pg_class WHERE relpersistence = 't'`;
