import { startProcess } from '../../test/support/processes.ts';
import type { StartUp } from '../application/start-up.process.ts';
import { median } from '../results.ts';
import type { ScenarioContext, Scenario } from '../scenario.ts';

const times = 5;

const common = { unit: 'ms', better: 'less', subjects: ['ours'] } as const;

/** What the module adds to the start of an application whose schema is up to date. */
export const startUpScenarios: readonly Scenario[] = [
  {
    ...common,
    name: 'start-with-module',
    title: 'Import and start a Nest application with TypeORM, CQRS and the module',
    run: (context) => measureStartUps(context, { withModule: true }),
  },
  {
    ...common,
    name: 'start-without-module',
    title: 'The same without the module',
    run: (context) => measureStartUps(context, { withModule: false }),
  },
];

/** Starts processes one after the other; the first one does not count. */
async function measureStartUps(
  { url, open, ready }: ScenarioContext,
  { withModule }: { readonly withModule: boolean },
) {
  await open();
  await startUp(url, withModule);
  await ready();
  const tookMs: number[] = [];
  for (let n = 0; n < times; n++) tookMs.push(await startUp(url, withModule));
  return { value: median(tookMs) };
}

async function startUp(url: string, withModule: boolean): Promise<number> {
  const file = new URL('../application/start-up.process.ts', import.meta.url);
  const started = await startProcess<StartUp>(file, { url, withModule });
  const tookMs = await started.call.tookMs();
  await started.stop();
  return tookMs;
}
