import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Verdict } from '../verdict.ts';
import type { Results } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import type { Subject } from '../subject.ts';
import { chart } from './chart.ts';

/** All results, and the environment that they come from. */
export interface Report {
  readonly environment: Readonly<Record<string, string>>;
  readonly scenarios: readonly Scenario[];
  readonly subjects: readonly Subject[];
  readonly results: Results;
  readonly verdicts: readonly Verdict[];
}

/** Writes the report to `bench/results`, as JSON and as a chart; returns the paths. */
export async function writeFiles(report: Report): Promise<string[]> {
  const { environment, scenarios, subjects, results, verdicts } = report;
  const directory = new URL('../results/', import.meta.url);
  await mkdir(directory, { recursive: true });
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const files = {
    json: new URL(`${time}.json`, directory),
    svg: new URL(`${time}.svg`, directory),
  };
  const content = {
    environment,
    poolSizes: Object.fromEntries(results.poolSizes),
    scenarios: scenarios.map(({ name, title, unit, better }) => ({ name, title, unit, better })),
    subjects,
    bars: verdicts,
    results: results.all,
  };
  await writeFile(files.json, `${JSON.stringify(content, undefined, 2)}\n`);
  await writeFile(files.svg, chart(scenarios, subjects, results));
  return Object.values(files).map((file) => fileURLToPath(file));
}
