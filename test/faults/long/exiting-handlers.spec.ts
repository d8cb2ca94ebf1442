import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { findingsOf } from '../../support/ledger/ledger.findings.ts';
import { readHistory } from '../../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../../support/ledger/ledger.tables.ts';
import type { LedgerProcessOptions } from '../../support/ledger/ledger.process.ts';
import { type LedgerProcess, startLedger } from '../../support/ledger/ledger.ts';
import { killAll } from '../../support/processes.ts';
import { countFindings } from '../../support/history/count-findings.ts';
import { tally } from '../../support/tally.ts';
import { useDatabase } from '../../support/use-store.ts';

const account = { type: 'account', id: '1' };

const database = useDatabase();

describe('a projection that ends its process at one event', () => {
  let dataSource: DataSource;

  beforeAll(async () => {
    dataSource = await database.dataSource();
    await dataSource.query(createLedgerTables);
  });
  afterAll(async () => {
    await killAll();
  });

  const start = (options: Partial<LedgerProcessOptions> = {}): Promise<LedgerProcess> =>
    startLedger({
      url: database.url,
      leaseMs: 300,
      pollIntervalMs: 100,
      without: ['balances', 'turnover', 'totals', 'letters', 'receipts'],
      ...options,
    });

  it('stops at that event, and not at another one of its batch, however often it is started', async () => {
    const writer = await start({ autoStart: false });
    const first = await writer.call.append(account, [1, 2, 13, 4, 5]);
    await writer.stop();

    const ends: string[] = [];
    for (let starts = 0; starts < 40 && !ends.at(-1)?.includes('has stopped'); starts++) {
      // It may end before it has started.
      const ending = start({ exitsAt: 13 }).then(({ call }) => call.waitFor('journal', first));
      ends.push(await ending.then(String, (error: Error) => error.message));
    }
    const stopped = ends.pop();
    expect(stopped).toMatch(/HandlerCrashedError.*position 3/);
    for (const end of ends) expect(end).toContain('has ended (9)');
    const { effects } = await readHistory(dataSource);
    expect(effects).toHaveLength(2);

    await killAll();
    const fixed = await start();
    await fixed.call.resume('journal');
    await fixed.call.waitFor('journal', first);
    const findings = findingsOf(await readHistory(dataSource));
    tally('F16', { runs: ends.length, acknowledged: 1, ...countFindings(findings) });
    expect(findings).toEqual([]);
    await fixed.stop();
  });
});
