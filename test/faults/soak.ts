/**
 * Random faults for a chosen time: `npm run soak -- --minutes 10`, and `--seed` to repeat its choices.
 *
 * Prints the faults, a line about their outcome, and the memory curve of the one application that
 * is never killed. Ends with 1 if anything is wrong.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { killAll } from '../support/processes.ts';
import { random, seed } from '../support/random.ts';
import { Trial } from './harness/trial.ts';
import { Trouble } from './harness/trouble.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' } },
});
if (values.seed) process.env['TEST_SEED'] = values.seed;
const minutes = Number(values.minutes);
const from = seed();

const trial = await Trial.start({
  seed: from,
  applications: 3,
  writers: 3,
  pauseMs: 200,
  consumers: true,
  proxied: true,
  application: {
    // Less than the timeout of a query: an append that waits for an aggregate is not lost.
    lockTimeoutMs: 500,
    driver: {
      // A half-open connection is noticed by the client that waits for an answer; in an open transaction
      // where no client waits, by the server.
      query_timeout: 2_000,
      connectionTimeoutMillis: 2_000,
      idle_in_transaction_session_timeout: 2_000,
    },
  },
});
try {
  const trouble = new Trouble(trial, random(from + 1));
  const memory: { minute: number; heap: number; resident: number }[] = [];
  await trial.load();
  const start = performance.now();
  const minute = () => (performance.now() - start) / 60_000;
  while (minute() < minutes) {
    const what = await trouble.make();
    const tookMs = await trial.recovered(60_000).catch((error: Error) => {
      for (const { pid, output } of trial.applications) console.error(`${pid}:\n${output}`);
      throw new Error(`${what}, and after a minute not all applications have continued`, {
        cause: error,
      });
    });
    const { heap, resident } = await trial.applications[0]!.call.memory();
    memory.push({ minute: minute(), heap: heap / 2 ** 20, resident: resident / 2 ** 20 });
    console.info(`${minute().toFixed(2)} min: ${what}, recovered after ${tookMs.toFixed(0)} ms`);
    await delay(1_000);
  }
  const { findings } = await trial.finish(`a soak of ${minutes} minutes`);
  console.info('\nmemory of the application that was never killed, in MiB');
  const widest = Math.max(...memory.map(({ heap }) => heap));
  for (const { minute: at, heap, resident } of memory) {
    const bar = '█'.repeat(Math.round((40 * heap) / widest));
    console.info(
      `${at.toFixed(2).padStart(7)} min  heap ${heap.toFixed(1).padStart(6)} ${bar.padEnd(40)} resident ${resident.toFixed(0)}`,
    );
  }
  for (const finding of findings) console.error(`WRONG: ${finding}`);
  process.exitCode = findings.length > 0 ? 1 : 0;
} finally {
  await trial.close();
  await killAll();
}
