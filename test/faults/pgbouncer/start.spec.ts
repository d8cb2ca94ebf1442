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
import {
  Consumers,
  DomainEvent,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  type EventStoreOptions,
} from 'nest-event-store';
import { Database } from '../../../lib/postgres/connection/database.ts';
import { findSessions } from '../../../lib/postgres/connection/checks/sessions.ts';
import { startApplication } from '../../module/start-application.ts';
import type { TestDatabase } from '../../support/database.ts';
import { patiently } from '../../support/eventually.ts';
import { keepsStatements } from '../../support/pgbouncer.ts';
import {
  closeAll,
  connect,
  describeBehindPgBouncer,
  itKeepingStatements,
  leftInSessions,
  openDatabase,
  openPooler,
  schema,
  withoutSessions,
} from './behind-pgbouncer.ts';

@DomainEvent('bell.rung')
class BellRung {
  constructor(readonly times: number) {}
}

@Projection('bells')
@Injectable()
class Bells {
  @On(BellRung)
  rung(): void {
    // The position of the consumer is enough for the tests.
  }
}

describeBehindPgBouncer('a store behind PgBouncer', () => {
  afterAll(closeAll);

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

    /** Appends in one process, and waits until the consumer of another has handled the event. */
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

    it('with LISTEN warns that it hears no others, polls, and announces its appends', async () => {
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

    it('in transaction mode logs how it finds appends of others', async () => {
      const pooler = await openPooler(database.url);
      await startAt(pooler.url, { ...withoutSessions, pollIntervalMs: 70 });
      expect(said).toEqual([
        expect.stringMatching(
          /^log: .*consumers find what other processes append .* every 70 ms\.$/,
        ),
      ]);
    });

    it.each(['session mode', 'no pooler'])('logs nothing, and listens: %s', async (between) => {
      const url =
        between === 'no pooler'
          ? database.url
          : (await openPooler(database.url, { mode: 'session', poolSize: 40 })).url;
      const reader = await startAt(url, { pollIntervalMs: 60_000 });
      const writer = await startAt(url, { pollIntervalMs: 60_000, autoStart: false });
      await ring(writer, reader);
      expect(said).toEqual([]);
    });

    it.each([
      ['transaction', 0, true],
      ['transaction', 1, true],
      ['session', 0, false],
    ] as const)(
      'detects the mode reliably under load: %s mode (server_round_robin = %s)',
      async (mode, server_round_robin, areShared) => {
        const pooler = await openPooler(database.url, {
          mode,
          // Two sessions that take turns look most like two that belong to one client each.
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
