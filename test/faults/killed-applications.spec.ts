import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';
import { Trial } from './harness/trial.ts';

describe('applications that are killed under load', () => {
  let trial: Trial | undefined;
  afterEach(async () => {
    await trial?.close();
    await killAll();
  });

  it('lose nothing that was acknowledged, and leave nothing half-done', async () => {
    trial = await Trial.start({ seed: seed(), proxied: true, writers: 15 });
    await trial.load();
    // A slow network, so that much is on its way whenever one is killed.
    trial.proxy!.delayMs = 8;
    for (let n = 0; n < 2; n++) {
      await delay(trial.choices.integer(20, 400));
      await trial.killAndRestart(n);
      await trial.recovered();
    }
    await trial.hasAcknowledged(100);
    const report = await trial.finish('kill -9 of applications');
    tally('F1', report);
    const { findings, acknowledged, unknown } = report;
    expect(findings).toEqual([]);
    expect(acknowledged).toBeGreaterThan(100);
    expect(unknown).toBeGreaterThan(0);
  });
});
