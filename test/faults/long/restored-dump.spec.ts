import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { eventually } from '../../support/eventually.ts';
import { findingsOfLog } from '../../support/history/log.findings.ts';
import { findingsOf } from '../../support/ledger/ledger.findings.ts';
import { readHistory } from '../../support/ledger/ledger.history.ts';
import { startLedger } from '../../support/ledger/ledger.ts';
import { type OwnServer, startOwnServer } from '../../support/own-server.ts';
import { killAll } from '../../support/processes.ts';
import { seed } from '../../support/random.ts';
import { countFindings } from '../../support/history/count-findings.ts';
import { tally } from '../../support/tally.ts';
import { readLog } from '../harness/stored-log.ts';
import { Trial } from '../harness/trial.ts';

/** Where PostgreSQL is installed with all its programs: npm brings the server alone, without pg_dump. */
const programs = [18, 17, 16, 15, 14]
  .map((version) => `/usr/lib/postgresql/${version}/bin`)
  .find((each) => existsSync(join(each, 'pg_dump')));
const describeWithDump = programs ? describe : describe.skip;
const run = promisify(execFile);

// Skipped where there is no pg_dump.
describeWithDump('a log that was dumped under load and restored into another server', () => {
  let trial: Trial | undefined;
  let other: OwnServer | undefined;
  let directory: string | undefined;
  afterEach(async () => {
    await trial?.close();
    await killAll();
    await other?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  it('continues at its last position, and so does every consumer', async () => {
    const binaries = { initdb: join(programs!, 'initdb'), pgCtl: join(programs!, 'pg_ctl') };
    trial = await Trial.start({ seed: seed(), consumers: true, server: { binaries } });
    await trial.load();
    await eventually(async () => {
      const [row] = await trial!.query<{ n: number }>(
        'SELECT count(*)::integer AS n FROM event_store.domain_events',
      );
      return row!.n > 300;
    });
    directory = await mkdtemp(join(tmpdir(), 'nest-event-store-dump-'));
    const file = join(directory, 'dump.sql');
    await run(join(programs!, 'pg_dump'), [trial.server.url, '--file', file]);
    other = await startOwnServer({ binaries });
    await run(join(programs!, 'psql'), [other.url, '-v', 'ON_ERROR_STOP=1', '-q', '-f', file]);
    await trial.recovered();
    const report = await trial.finish('a dump');
    expect(report.findings).toEqual([]);

    const dataSource = new DataSource({
      type: 'postgres',
      url: other.url,
      installExtensions: false,
    });
    await dataSource.initialize();
    const restored = await readLog(dataSource);
    expect(restored.length).toBeGreaterThan(300);
    const restoredAt = performance.now();
    const application = await startLedger({
      url: other.url,
      leaseMs: 1_000,
      pollIntervalMs: 100,
    });
    const position = await application.call.append({ type: 'account', id: '1' }, [1, 2, 3]);
    const recoveryMs = performance.now() - restoredAt;
    expect(position).toBeGreaterThan(restored.at(-1)!.position + 2);
    for (const name of ['balances', 'turnover', 'journal', 'letters', 'receipts']) {
      await application.call.waitFor(name, position);
    }
    const findings = [
      ...findingsOfLog(await readLog(dataSource)),
      ...findingsOf(await readHistory(dataSource)),
    ];
    await dataSource.destroy();
    await application.stop();
    const acknowledged = report.acknowledged + 1;
    tally('F18', { acknowledged, ...countFindings(findings), recoveryMs });
    expect(findings).toEqual([]);
  });
});
