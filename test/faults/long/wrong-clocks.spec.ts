import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { killAll } from '../../support/processes.ts';
import { seed } from '../../support/random.ts';
import { tally } from '../../support/tally.ts';
import { Trial } from '../harness/trial.ts';

const tenYearsMs = 10 * 365 * 24 * 3_600_000;

describe('applications whose clocks are ten years fast and ten years slow', () => {
  let trial: Trial | undefined;
  afterEach(async () => {
    await trial?.close();
    await killAll();
  });

  it('keep the order, hand leases over, and date events by the clock of the database', async () => {
    trial = await Trial.start({
      seed: seed(),
      consumers: true,
      pauseMs: 100,
      clockOffsetsMs: [tenYearsMs, -tenYearsMs],
    });
    await trial.load();
    for (const n of [0, 1]) {
      await delay(trial.choices.integer(500, 1_500));
      await trial.killAndRestart(n);
      await trial.recovered();
    }
    const report = await trial.finish('clocks ten years off');
    tally('F17', report);
    expect(report.findings).toEqual([]);
    const misdated = await trial.query(
      `SELECT position, recorded_at FROM event_store.domain_events
       WHERE recorded_at NOT BETWEEN now() - interval '10 minutes' AND now()`,
    );
    expect(misdated).toEqual([]);
  });
});
