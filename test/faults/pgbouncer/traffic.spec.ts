import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { eventually } from '../../support/eventually.ts';
import { findingsOfHistory } from '../../support/history/history.findings.ts';
import { readJournal } from '../../support/history/journal.ts';
import { findingsOf } from '../../support/ledger/ledger.findings.ts';
import { readHistory } from '../../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../../support/ledger/ledger.tables.ts';
import { type LedgerProcess, startLedger } from '../../support/ledger/ledger.ts';
import type { Pooler } from '../../support/pgbouncer.ts';
import { postgresContract } from '../../support/postgres-contract.ts';
import { killAll } from '../../support/processes.ts';
import { seed } from '../../support/random.ts';
import { countFindings } from '../../support/history/count-findings.ts';
import { tally } from '../../support/tally.ts';
import { readLog } from '../harness/stored-log.ts';
import {
  closeAll,
  connect,
  describeBehindPgBouncer,
  leftInSessions,
  openDatabase,
  openPooler,
  schema,
  withoutSessions,
} from './behind-pgbouncer.ts';

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

  it('a schema is migrated once by several processes that start together', async () => {
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

    it('count each event once, although an owner was frozen past the end of its lease', async () => {
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
      const written = journals.map(readJournal);
      const history = {
        attempts: written.flatMap(({ attempts }) => attempts),
        pages: written.flatMap(({ pages }) => pages),
        versionReads: written.flatMap(({ versionReads }) => versionReads),
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
});
