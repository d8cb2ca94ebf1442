import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';
import { Trial } from './harness/trial.ts';

describe('applications under load whose server goes away', () => {
  let trial: Trial;
  beforeAll(async () => {
    trial = await Trial.start({ seed: seed(), proxied: true });
    await trial.load();
  });
  afterAll(async () => {
    await trial.close();
    await killAll();
  });

  it.each(['stopped', 'killed', 'crashed'] as const)(
    'continue, without a restart, after it was %s',
    async (how) => {
      await delay(trial.choices.integer(100, 300));
      await trial.server.goDown(how);
      await delay(trial.choices.integer(0, 300));
      await trial.server.comeBack();
      await trial.recovered();
    },
  );

  it('continue after it was frozen and slow', async () => {
    trial.server.freeze();
    await delay(trial.choices.integer(300, 600));
    trial.server.thaw();
    await trial.recovered();
    trial.proxy!.delayMs = 20;
    await trial.recovered();
    trial.proxy!.delayMs = 0;
  });

  it('lose nothing that was acknowledged, and leave nothing half-done', async () => {
    await trial.hasAcknowledged(50);
    const report = await trial.finish('outages of the server');
    tally('F3', report);
    const { findings, acknowledged, unknown } = report;
    expect(findings).toEqual([]);
    expect(acknowledged).toBeGreaterThan(50);
    expect(unknown).toBeGreaterThan(0);
  });
});
