import { randomUUID } from 'node:crypto';
import { generateLoad } from '../load-generator.ts';
import { newPayments } from '../payment.ts';
import type { Scenario } from '../scenario.ts';

/** Appends to new aggregates, which each caller awaits before its next one. */
function appendScenario({
  callers,
  eventsEach = 1,
  ...scenario
}: Pick<Scenario, 'name' | 'title' | 'quick' | 'processes' | 'subjects'> & {
  readonly callers: number;
  readonly eventsEach?: number;
}): Scenario {
  return {
    ...scenario,
    callers,
    unit: eventsEach === 1 ? 'appends/s' : 'events/s',
    better: 'more',
    async run({ open, ready, seconds }) {
      const store = await open();
      const append = () => store.append(randomUUID(), newPayments(eventsEach), 0);
      await generateLoad(callers, seconds / 3, append);
      await ready();
      const { perSecond, ...latency } = await generateLoad(callers, seconds, append);
      return { value: perSecond * eventsEach, ...latency };
    },
  };
}

export const appendScenarios: readonly Scenario[] = [
  appendScenario({ name: 'one-writer', title: 'One writer', callers: 1, quick: true }),
  appendScenario({ name: 'callers-16', title: '16 callers', callers: 16 }),
  appendScenario({ name: 'callers-64', title: '64 callers', callers: 64, quick: true }),
  appendScenario({ name: 'callers-256', title: '256 callers', callers: 256 }),
];
