import { startProcess, type TestProcess } from '../test/support/processes.ts';
import type { Databases } from './databases.ts';
import type { Measurement, Scenario } from './scenario.ts';
import type { Subject } from './subject.ts';
import type { Assignment, Worker } from './worker.ts';

/** How thoroughly to measure, and with what. */
export interface MeasureOptions {
  readonly seconds: number;
  /** How many connections each process of the subject may have. */
  readonly connections: number;
}

// A subject that hangs must not block the others, but storing a million events takes a while.
const limitMs = 10 * 60_000;

/**
 * Measures one subject in one scenario: in processes of its own, on a database of its own.
 *
 * Returns `undefined` if the subject lacks an operation that the scenario needs.
 */
export async function measure(
  scenario: Scenario,
  subject: Subject,
  databases: Databases,
  options: MeasureOptions,
): Promise<Measurement | undefined> {
  const { stored, processes = 1 } = scenario;
  const assignment = { ...options, subject: subject.name };
  const template =
    stored &&
    (await databases.filled(subject.name, stored, (url) =>
      withWorkers(async (start) => {
        const filler = await start({ ...assignment, url, setUp: true });
        await filler.call.fill(stored);
        await filler.call.close();
      }),
    ));

  const url = await databases.create(template);
  await databases.settle();
  try {
    return await withWorkers(async (start) => {
      const workers: TestProcess<Worker>[] = [];
      for (let index = 0; index < processes; index++) {
        const worker = await start({ ...assignment, url, setUp: index === 0 && !template });
        workers.push(worker);
        await worker.call.warmUp(scenario.name);
      }
      return sum(await Promise.all(workers.map(({ call }) => call.measure())));
    });
  } finally {
    await databases.drop(url);
  }
}

/** Lets `work` start processes; none of them outlives it. */
async function withWorkers<T>(
  work: (start: (assignment: Assignment) => Promise<TestProcess<Worker>>) => Promise<T>,
): Promise<T> {
  const workers: TestProcess<Worker>[] = [];
  const killAll = () => Promise.all(workers.map((worker) => worker.kill()));
  let tookTooLong = false;
  const limit = setTimeout(() => {
    tookTooLong = true;
    // Calls in progress in a process that ends are rejected.
    void killAll();
  }, limitMs);
  try {
    return await work(async (assignment) => {
      const worker = await startProcess<Worker>(
        new URL('./worker.ts', import.meta.url),
        assignment,
      );
      workers.push(worker);
      return worker;
    });
  } catch (error) {
    if (tookTooLong) throw new Error(`It took longer than ${limitMs} ms.`, { cause: error });
    throw error;
  } finally {
    clearTimeout(limit);
    await killAll();
  }
}

/** Adds up the results of processes that ran side by side; for latencies, the worst process counts. */
function sum(measurements: readonly (Measurement | undefined)[]): Measurement | undefined {
  const done = measurements.flatMap((each) => each ?? []);
  if (done.length < 2) return done[0];
  return {
    value: done.reduce((total, { value }) => total + value, 0),
    p50Ms: Math.max(...done.map(({ p50Ms = Number.NaN }) => p50Ms)),
    p99Ms: Math.max(...done.map(({ p99Ms = Number.NaN }) => p99Ms)),
  };
}
