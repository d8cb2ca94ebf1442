import type { Databases } from './databases.ts';
import { measure } from './measure.ts';
import { bestPoolSizes, usualPoolSize } from './pool-sizes.ts';
import { format } from './report/table.ts';
import { Results, type Result } from './results.ts';
import type { Scenario } from './scenario.ts';
import type { Subject } from './subject.ts';

/** How often and for how long everything is measured. */
export interface RunOptions {
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number;
}

/** Runs every subject through every scenario, round by round, and prints each result. */
export async function run(
  scenarios: readonly Scenario[],
  subjects: readonly Subject[],
  databases: Databases,
  { quick, rounds, seconds }: RunOptions,
): Promise<Results> {
  const poolSizes = quick ? new Map<string, number>() : await bestPoolSizes(subjects, databases);
  const results = new Results(poolSizes);
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of scenarios) {
      const takers = subjects.filter((subject) => takesPart(subject, scenario, quick));
      // The subject that comes first in one round comes last in the next one.
      for (const subject of round % 2 === 1 ? takers : takers.toReversed()) {
        const connections = poolSizes.get(subject.name) ?? usualPoolSize;
        const outcome = await measure(scenario, subject, databases, { seconds, connections }).then(
          (measurement) => (measurement ? { measurement } : {}),
          (error: Error) => ({ error: error.message }),
        );
        const result: Result = {
          scenario: scenario.name,
          subject: subject.name,
          round,
          ...outcome,
        };
        results.add(result);
        console.log(`round ${round}/${rounds}  ${describe(result, scenario)}`);
      }
    }
  }
  return results;
}

function takesPart({ name, kind }: Subject, scenario: Scenario, quick: boolean): boolean {
  const chosen = quick ? scenario.quick : scenario.subjects;
  return chosen?.includes(name) ?? kind !== 'limit';
}

function describe({ subject, measurement, error }: Result, { name, unit }: Scenario): string {
  if (measurement) return `${name}  ${subject}  ${format(measurement.value)} ${unit}`;
  return `${name}  ${subject}  ${error ? 'failed' : 'not offered'}`;
}
