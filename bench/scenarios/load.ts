import { generateLoad, warmUpSeconds } from '../load-generator.ts';
import { storedAggregate } from '../payment.ts';
import type { Measurement, ScenarioContext, Scenario, Stored } from '../scenario.ts';

/** Loads aggregates at random, one after the other; the value is the median time of a load. */
export async function measureLoads(
  { open, ready, seconds }: ScenarioContext,
  { aggregates, eventsEach }: Stored,
): Promise<Measurement | undefined> {
  const store = await open();
  if (!store.load) return undefined;
  const load = async (): Promise<void> => {
    const count = await store.load!(storedAggregate(Math.floor(Math.random() * aggregates)));
    if (count !== eventsEach) throw new Error(`Loaded ${count} events of ${eventsEach}.`);
  };
  await generateLoad(1, warmUpSeconds(seconds), load);
  await ready();
  const { p50Ms, p99Ms } = await generateLoad(1, seconds, load);
  return { value: p50Ms, p50Ms, p99Ms };
}

const loadScenario = (stored: Stored, quick?: readonly string[]): Scenario => ({
  name: `load-${stored.eventsEach}`,
  title: `Load an aggregate of ${stored.eventsEach} events, nothing cached`,
  unit: 'ms',
  better: 'less',
  ...(quick && { quick }),
  stored,
  run: (context) => measureLoads(context, stored),
});

/** How long an aggregate takes from the database to its events. */
export const loadScenarios: readonly Scenario[] = [
  loadScenario({ aggregates: 200, eventsEach: 5 }),
  loadScenario({ aggregates: 100, eventsEach: 50 }),
  loadScenario({ aggregates: 40, eventsEach: 500 }, ['ours', 'raw']),
];
