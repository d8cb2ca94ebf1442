import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { killAll } from '../../support/processes.ts';
import { seed } from '../../support/random.ts';
import { tally } from '../../support/tally.ts';
import { Trial } from '../harness/trial.ts';

describe('applications under load whose connections go half-open', () => {
  let trial: Trial | undefined;
  afterEach(async () => {
    await trial?.close();
    await killAll();
  });

  it('continue on others, and lose, double, skip and reorder nothing', async () => {
    const timeoutMs = 1_000;
    trial = await Trial.start({
      seed: seed(),
      consumers: true,
      pauseMs: 50,
      proxied: true,
      application: {
        // Less than the timeout of a query: an append that waits for an aggregate is not lost.
        lockTimeoutMs: 300,
        driver: {
          query_timeout: timeoutMs,
          connectionTimeoutMillis: timeoutMs,
          // Otherwise their open transactions hold aggregates, and hold back all readers.
          idle_in_transaction_session_timeout: timeoutMs,
        },
      },
    });
    await trial.load();
    for (let n = 0; n < 3; n++) {
      await delay(trial.choices.integer(100, 500));
      for (const connection of trial.proxy!.connections) {
        if (connection.isOpen && trial.choices.next() < 0.5) connection.swallow();
      }
      // It takes a second to notice each dead connection of a pool, and few are tried at a time.
      await trial.recovered(60_000);
    }
    const report = await trial.finish('half-open connections');
    tally('F6', report);
    const { findings, unknown } = report;
    expect(findings).toEqual([]);
    expect(unknown).toBeGreaterThan(0);
  });
});
