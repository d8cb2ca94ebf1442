import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import type { HistoryFinding } from '../support/history/history.ts';
import { findingsOf } from '../support/ledger/ledger.findings.ts';
import { readHistory, repetitions } from '../support/ledger/ledger.history.ts';
import { createLedgerTables } from '../support/ledger/ledger.tables.ts';
import { LedgerTrouble } from '../support/ledger/ledger.trouble.ts';
import { startLedger } from '../support/ledger/ledger.ts';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { countFindings } from '../support/history/count-findings.ts';
import { tally } from '../support/tally.ts';

/** More and longer rounds than a run of the whole suite has time for. */
const rounds = Number(process.env['TEST_ROUNDS'] || 1);
const durationMs = Number(process.env['TEST_ROUND_MS'] || 6_000);
const leaseMs = 600;

describe('consumers in several processes', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  const testSeed = seed();

  beforeEach(async () => {
    database = await createTestDatabase();
    dataSource = await database.dataSource({ applicationName: 'spec' });
    await dataSource.query(createLedgerTables);
  });
  afterEach(async () => {
    await killAll();
    await database.drop();
  });

  it.each(Array.from({ length: rounds }, (_, n) => testSeed + 1_000 * n))(
    'never lose, double, skip or reorder an event, whatever happens to them (seed %i)',
    async (roundSeed) => {
      const options = { url: database.url, leaseMs, pollIntervalMs: 100, slowMs: 40 };
      const trouble = new LedgerTrouble(dataSource, options);
      const [control] = await Promise.all([
        // Writes and sends the requests of an operator; no trouble is made for it.
        startLedger({ ...options, autoStart: false }),
        trouble.start(roundSeed, 3),
      ]);
      await control.call.startWriting(roundSeed, 2);

      const findingsMeanwhile = await lookingDuring(
        trouble.makeTrouble(roundSeed, control, durationMs),
        async () => findingsOf(await readHistory(dataSource)),
      );
      expect(findingsMeanwhile).toEqual([]);
      const acknowledged = trouble.acknowledged + (await control.call.stopWriting());

      const [{ end }] = await dataSource.query(
        'SELECT max(position)::float8 AS end FROM event_store.domain_events',
      );
      await eventually(
        async () => {
          for (const { name, position, rebuild, kind, status } of await control.call.states()) {
            if (kind === 'inline-projection') continue;
            expect({ name, status, position, rebuild }).toEqual({
              name,
              status: 'live',
              position: end,
              rebuild: null,
            });
          }
          return true;
        },
        { intervalMs: 100 },
      );
      const history = await readHistory(dataSource);
      const findings = findingsOf(history);
      for (const [fault, runs] of [
        ['F1', trouble.troubles.killed],
        ['F4', trouble.troubles.cut],
        ['F15', trouble.troubles.frozen],
        ['F20', trouble.troubles.rebuilt],
      ] as const) {
        tally(fault, { runs, acknowledged, ...countFindings(findings) });
      }
      expect(findings).toEqual([]);
      console.info(
        `${history.log.length} events, ${history.effects.length} effects of ` +
          `${new Set(history.effects.map((each) => each.process)).size} processes; handled again: ` +
          `${repetitions(history, 'letters')} letters, ${repetitions(history, 'receipts')} receipts; ` +
          JSON.stringify(trouble.troubles),
      );
      await trouble.stop();
      await control.stop();
    },
  );
});

/** Checks again and again until `work` has ended, or there is a finding. */
async function lookingDuring(
  work: Promise<void>,
  look: () => Promise<HistoryFinding[]>,
): Promise<HistoryFinding[]> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  const found: HistoryFinding[] = [];
  while (!isDone && found.length === 0) {
    found.push(...(await look()));
    await Promise.race([done, delay(250)]);
  }
  await done;
  return found;
}
