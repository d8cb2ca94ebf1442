import { randomUUID } from 'node:crypto';
import { generateLoad, warmUpSeconds } from '../load-generator.ts';
import { newPayments } from '../payment.ts';
import type { Measurement, ScenarioContext, Scenario, Stored } from '../scenario.ts';
import { measureLoads } from './load.ts';

const sizes: readonly { readonly name: string; readonly stored: Stored }[] = [
  { name: '10,000', stored: { aggregates: 1_000, eventsEach: 10 } },
  { name: '1,000,000', stored: { aggregates: 100_000, eventsEach: 10 } },
];

/** How the speed of appends and loads changes as the log grows. */
export const grownScenarios: readonly Scenario[] = sizes.flatMap(({ name, stored }) => {
  const common = { unit: 'ms', better: 'less', subjects: ['ours', 'raw'], stored } as const;
  const id = name.replaceAll(',', '');
  return [
    {
      ...common,
      name: `append-at-${id}`,
      title: `Append one event at ${name} stored events`,
      run: measureAppend,
    },
    {
      ...common,
      name: `load-at-${id}`,
      title: `Load an aggregate of ten events at ${name} stored events`,
      run: (context) => measureLoads(context, stored),
    },
  ];
});

async function measureAppend({ open, ready, seconds }: ScenarioContext): Promise<Measurement> {
  const store = await open();
  const append = () => store.append(randomUUID(), newPayments(1), 0);
  await generateLoad(1, warmUpSeconds(seconds), append);
  await ready();
  const { p50Ms, p99Ms } = await generateLoad(1, seconds, append);
  return { value: p50Ms, p50Ms, p99Ms };
}
