import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Trial } from '../faults/harness/trial.ts';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';

describe('applications under load whose server comes back', () => {
  let trial: Trial;
  beforeAll(async () => {
    trial = await Trial.start({ seed: seed() });
    await trial.load();
  });
  afterAll(async () => {
    await trial.close();
    await killAll();
  });

  it.each(['stopped', 'killed', 'crashed'] as const)(
    'are answered again within ten seconds, after it was %s',
    async (how) => {
      await trial.server.goDown(how);
      await trial.server.comeBack();
      const recoveryMs = await trial.recovered();
      tally('F3', { recoveryMs });
      expect(recoveryMs).toBeLessThan(10_000);
    },
  );
});
