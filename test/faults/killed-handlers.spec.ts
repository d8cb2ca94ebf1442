import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { readHistory, repetitions } from '../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { type LedgerProcess, startLedger } from '../support/ledger/ledger.ts';
import { killAll } from '../support/processes.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

const amounts = Array.from({ length: 5 }, (_, n) => n + 1);

const database = useDatabase();

describe('a durable handler of @nestjs/cqrs', () => {
  let dataSource: DataSource;

  beforeAll(async () => {
    dataSource = await database.dataSource();
    await dataSource.query(createLedgerTables);
  });
  afterAll(async () => {
    await killAll();
  });

  const start = (): Promise<LedgerProcess> =>
    startLedger({
      url: database.url,
      leaseMs: 400,
      without: ['balances', 'turnover', 'journal', 'totals', 'receipts'],
    });

  it('loses nothing to kill -9 in the middle of a batch, and repeats one event', async () => {
    const killed = await start();
    await killed.call.closeGate('letters', 60);
    let position = 0;
    let acknowledged = 0;
    for (let n = 0; n < 20; n++) {
      position = await killed.call.append({ type: 'account', id: `${n % 4}` }, amounts);
      acknowledged += 1;
    }
    await killed.call.arrivedAtGate('letters');
    expect((await readHistory(dataSource)).effects).toHaveLength(61);
    await killed.kill();

    const restarted = await start();
    await restarted.call.waitFor('letters', position);
    const history = await readHistory(dataSource);
    expect(history.log).toHaveLength(100);
    expect(history.effects).toHaveLength(101);
    expect(findingsOf(history)).toEqual([]);
    expect(repetitions(history, 'letters')).toBe(1);

    // Killed right after the answer, before any handler can have received the event.
    position = await restarted.call.append({ type: 'account', id: '1' }, amounts);
    acknowledged += 1;
    await restarted.kill();
    const last = await start();
    await last.call.waitFor('letters', position);
    const findings = findingsOf(await readHistory(dataSource));
    tally('F1', { runs: 2, acknowledged, ...countFindings(findings) });
    expect(findings).toEqual([]);
    await last.stop();
  });
});
