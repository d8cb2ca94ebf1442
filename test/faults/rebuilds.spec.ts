import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { readHistory } from '../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { type LedgerProcess, startLedger } from '../support/ledger/ledger.ts';
import { killAll } from '../support/processes.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';

const amounts = Array.from({ length: 5 }, (_, n) => n + 1);

describe('a rebuild', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let one: LedgerProcess;
  let acknowledged = 0;

  beforeEach(async () => {
    acknowledged = 0;
    database = await createTestDatabase();
    dataSource = await database.dataSource();
    await dataSource.query(createLedgerTables);
    one = await start();
    for (let n = 0; n < 20; n++) await append(one);
    await one.call.waitFor('journal', acknowledged * amounts.length);
  });
  afterEach(async () => {
    await killAll();
    await database.drop();
  });

  const start = (): Promise<LedgerProcess> =>
    startLedger({
      url: database.url,
      leaseMs: 400,
      pollIntervalMs: 100,
      without: ['balances', 'turnover', 'totals', 'letters', 'receipts'],
    });

  async function append({ call }: LedgerProcess): Promise<number> {
    const position = await call.append({ type: 'account', id: `${acknowledged % 4}` }, amounts);
    acknowledged += 1;
    return position;
  }

  async function stateOfJournal({ call }: LedgerProcess) {
    return (await call.states()).find(({ name }) => name === 'journal')!;
  }

  const isReplaced = (asked: LedgerProcess): Promise<boolean> =>
    eventually(async () => (await stateOfJournal(asked)).generation === 2);

  async function expectNothingWrong(): Promise<void> {
    const findings = findingsOf(await readHistory(dataSource));
    tally('F20', { acknowledged, ...countFindings(findings) });
    expect(findings).toEqual([]);
  }

  it('continues after its process was killed, with the old generation in use meanwhile', async () => {
    await one.call.closeGate('journal', 2);
    await one.call.rebuild('journal');
    // Two batches of twenty have committed, and the third one is in the middle.
    await one.call.arrivedAtGate('journal');
    expect(await stateOfJournal(one)).toMatchObject({ generation: 1, rebuild: { generation: 2 } });
    await one.kill();
    const other = await start();
    const position = await append(other);
    await other.call.waitFor('journal', position);
    await isReplaced(other);

    const { log, effects } = await readHistory(dataSource);
    const rebuilt = effects.filter(({ generation }) => generation === 2);
    expect(rebuilt.filter(({ process }) => process === one.pid)).toHaveLength(40);
    expect(rebuilt).toHaveLength(log.length);
    await expectNothingWrong();
  });

  it('that two processes request at the same moment begins once', async () => {
    const other = await start();
    const asked = await dataSource.transaction(async (manager) => {
      // Neither process gets past the lock before both have requested the rebuild.
      await manager.query('SELECT FROM event_store.consumers FOR UPDATE');
      const both = Promise.allSettled([one, other].map(({ call }) => call.rebuild('journal')));
      await eventually(async () => {
        const waiting = await dataSource.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length === 2;
      });
      return { both };
    });
    const answers = await asked.both;
    expect(answers.filter(({ status }) => status === 'fulfilled')).toMatchObject([{ value: 2 }]);
    const [refusal] = answers.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refusal).toMatchObject({
      message: expect.stringContaining('is being rebuilt as generation 2 already'),
    });
    await isReplaced(other);
    await expectNothingWrong();
  });
});
