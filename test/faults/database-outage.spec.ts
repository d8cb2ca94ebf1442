import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { eventually } from '../support/eventually.ts';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { readHistory } from '../support/ledger/ledger.history.ts';
import { type LedgerProcess, startLedger } from '../support/ledger/ledger.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { killAll } from '../support/processes.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';

describe('an application whose database goes down and comes back', () => {
  let server: OwnServer;
  let application: LedgerProcess;

  beforeAll(async () => {
    server = await startOwnServer();
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(createLedgerTables);
    await client.end();
    application = await startLedger({ url: server.url, leaseMs: 1_000, pollIntervalMs: 200 });
  });
  afterAll(async () => {
    await killAll();
    await server.stop();
  });

  it.each(['stopped', 'killed'] as const)(
    'continues with every consumer, without a restart, after the server was %s',
    async (how) => {
      await application.call.startWriting(1, 4);
      const before = await application.call.append({ type: 'account', id: '1' }, [1]);
      await application.call.waitFor('balances', before);
      await server.goDown(how);
      await expect(application.call.append({ type: 'account', id: '1' }, [1])).rejects.toThrow(
        'ConnectionLostError',
      );
      await delay(500);
      await server.comeBack();
      const backAt = performance.now();

      const after = await eventually(() =>
        application.call.append({ type: 'account', id: '1' }, [1]),
      );
      const recoveryMs = performance.now() - backAt;
      const acknowledged = await application.call.stopWriting();
      for (const name of ['balances', 'turnover', 'journal', 'letters', 'receipts']) {
        await application.call.waitFor(name, after);
      }
      const dataSource = new DataSource({
        type: 'postgres',
        url: server.url,
        installExtensions: false,
      });
      await dataSource.initialize();
      const history = await readHistory(dataSource);
      await dataSource.destroy();
      const findings = findingsOf(history);
      tally('F3', { acknowledged, ...countFindings(findings), recoveryMs });
      expect(findings).toEqual([]);
      expect(new Set(history.effects.map(({ process }) => process))).toEqual(
        new Set([application.pid]),
      );
    },
  );

  it('leaves nothing open when it ends', () => application.stop());
});
