import type { Scenario } from '../scenario.ts';

/** How fast consumers work through an existing log. */
export const catchUpScenarios: readonly Scenario[] = [
  {
    ...catchUp('set-based', { aggregates: 10_000, eventsEach: 10 }),
    name: 'project-set-based',
    title: 'A projection that writes each batch by one statement',
    quick: ['ours'],
  },
  {
    ...catchUp('by-event', { aggregates: 1_000, eventsEach: 10 }),
    name: 'project-by-event',
    title: 'A projection that writes event by event, in the transaction of the batch',
  },
  {
    ...catchUp('one-by-one', { aggregates: 100, eventsEach: 10 }),
    name: 'project-one-by-one',
    title: 'A projection that writes event by event, each in a transaction of its own',
  },
  {
    ...catchUp('letters', { aggregates: 1_000, eventsEach: 10 }),
    name: 'durable-handler',
    title: 'A durable handler that does nothing',
  },
];

function catchUp(consumer: string, stored: NonNullable<Scenario['stored']>) {
  return {
    unit: 'events/s',
    better: 'more',
    subjects: ['ours'],
    stored,
    run: async (context) => {
      const { measureCatchUp } = await import('../application/catch-up.ts');
      return measureCatchUp(context, consumer, stored.aggregates * stored.eventsEach);
    },
  } satisfies Partial<Scenario>;
}
