import type { Databases } from './databases.ts';
import { measure } from './measure.ts';
import { scenarios } from './scenarios/index.ts';
import type { Subject } from './subject.ts';

/** The pool size of every subject in a run that does not look for the best one. */
export const usualPoolSize = 32;

const candidates = [16, 32, 64];

/** Finds the size of the connection pool with which each subject serves 64 callers best. */
export async function bestPoolSizes(
  subjects: readonly Subject[],
  databases: Databases,
): Promise<ReadonlyMap<string, number>> {
  const scenario = scenarios.find(({ name }) => name === 'callers-64')!;
  const best = new Map<string, number>();
  for (const subject of subjects) {
    let most = 0;
    for (const connections of candidates) {
      const options = { seconds: 1, connections };
      // A subject that fails here fails again when it is measured, and is reported then.
      const measured = await measure(scenario, subject, databases, options).catch(() => undefined);
      if (measured && measured.value > most) {
        most = measured.value;
        best.set(subject.name, connections);
      }
    }
    console.log(`pool size  ${subject.name}  ${best.get(subject.name) ?? usualPoolSize}`);
  }
  return best;
}
