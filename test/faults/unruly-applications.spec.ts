import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';
import { Trial } from './harness/trial.ts';

describe('applications whose other code leaves connections inside transactions', () => {
  let trial: Trial | undefined;
  afterEach(async () => {
    await trial?.close();
    await killAll();
  });

  // Every append of the ledger concerns an inline projection: without consumers, batches are sent.
  it.each([
    ['with consumers', true],
    ['without consumers', false],
  ])('lose, double, skip and reorder nothing (%s)', async (_, consumers) => {
    trial = await Trial.start({
      seed: seed(),
      consumers,
      hasGuests: true,
      pauseMs: 30,
      application: {
        // Transactions left by the guests hold no aggregate, but their statements may hold connections.
        driver: { idle_in_transaction_session_timeout: 5_000 },
      },
    });
    await trial.load();
    for (let n = 0; n < 2; n++) {
      await delay(trial.choices.integer(500, 1_500));
      await trial.recovered();
    }
    await trial.hasAcknowledged(50);
    await Promise.all(
      trial.applications.map(({ call }) =>
        eventually(async () => {
          const { forgotten, timedOut } = await call.misdeeds();
          return forgotten + timedOut > 0;
        }),
      ),
    );
    const report = await trial.finish('connections left inside transactions');
    tally('F23', report);
    tally('F24', report);
    const { findings, acknowledged } = report;
    expect(findings).toEqual([]);
    expect(acknowledged).toBeGreaterThan(50);
  });
});
