import { startProcess } from '../test/support/processes.ts';
import type { Databases } from './databases.ts';
import type { Measurement, Scenario } from './scenario.ts';
import type { Subject } from './subject.ts';
import type { Assignment, Worker } from './worker.ts';

const start = (assignment: Assignment) =>
  startProcess<Worker>(new URL('./worker.ts', import.meta.url), assignment);

const fillers = 16;

/**
 * Measures one subject in one scenario: in processes of its own, on a database of its own.
 *
 * `undefined` if the subject does not have what the scenario takes.
 */
export async function measure(
  scenario: Scenario,
  subject: Subject,
  databases: Databases,
  { seconds, maxConnections }: { readonly seconds: number; readonly maxConnections: number },
): Promise<Measurement | undefined> {
  const { stored, processes = 1, callers = 1 } = scenario;
  const assignment = { subject: subject.name, seconds };
  const template =
    stored &&
    (await databases.filled(subject.name, stored, async (url) => {
      const filler = await start({ ...assignment, url, setUp: true, connections: fillers });
      await filler.call.fill(stored);
      await filler.call.close();
      await filler.kill();
    }));

  const url = await databases.create(template);
  await databases.settle();
  const workers: Awaited<ReturnType<typeof start>>[] = [];
  try {
    for (let index = 0; index < processes; index++) {
      const setUp = index === 0 && !template;
      const connections = Math.min(callers, maxConnections);
      const worker = await start({ ...assignment, url, setUp, connections });
      workers.push(worker);
      await worker.call.warmUp(scenario.name);
    }
    const measured = await Promise.all(workers.map(({ call }) => call.measure()));
    await Promise.all(workers.map(({ call }) => call.close()));
    return sum(measured.filter((each) => each !== undefined && each !== null));
  } finally {
    await Promise.all(workers.map((worker) => worker.kill()));
    await databases.drop(url);
  }
}

/** Adds up what several processes got done at the same time; of latencies, the worst process counts. */
function sum(measurements: readonly Measurement[]): Measurement | undefined {
  const [first, ...others] = measurements;
  if (!first || others.length === 0) return first;
  return {
    value: measurements.reduce((total, { value }) => total + value, 0),
    p50Ms: Math.max(...measurements.map(({ p50Ms }) => p50Ms ?? Number.NaN)),
    p99Ms: Math.max(...measurements.map(({ p99Ms }) => p99Ms ?? Number.NaN)),
  };
}
