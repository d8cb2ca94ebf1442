import type { Databases } from './databases.ts';
import { measure } from './measure.ts';
import { format } from './report/table.ts';
import { Results } from './results.ts';
import type { Scenario } from './scenario.ts';
import type { Subject } from './subject.ts';

/** Runs every subject through every scenario, round by round, and says so on the screen. */
export async function run(
  chosen: readonly Scenario[],
  subjects: readonly Subject[],
  databases: Databases,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Results> {
  const results = new Results();
  const maxConnections = 32;
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of chosen) {
      const takers = subjects.filter((subject) => takesPart(subject, scenario));
      // Whoever comes first in one round comes last in the next one.
      for (const subject of round % 2 === 1 ? takers : takers.toReversed()) {
        const cell = { scenario: scenario.name, subject: subject.name, round };
        const result = await measure(scenario, subject, databases, {
          seconds,
          maxConnections,
        }).then(
          (measurement) => ({ ...cell, ...(measurement && { measurement }) }),
          (error: Error) => ({ ...cell, error: error.message }),
        );
        results.add(result);
        const found =
          'error' in result ? result.error : format(result.measurement?.value ?? Number.NaN);
        console.log(
          `round ${round}/${rounds}  ${scenario.name}  ${subject.name}  ${found} ${scenario.unit}`,
        );
      }
    }
  }
  await databases.dropFilled();
  return results;
}

const takesPart = ({ name, kind }: Subject, { subjects }: Scenario): boolean =>
  subjects?.includes(name) ?? kind !== 'limit';
