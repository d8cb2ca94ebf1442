import type { Scenario } from '../scenario.ts';

const sizes = [
  { aggregates: 200, eventsEach: 5 },
  { aggregates: 100, eventsEach: 50 },
  { aggregates: 40, eventsEach: 500 },
];

const common = { unit: 'ms', better: 'less', subjects: ['ours'] } as const;

/** How long an application waits for an aggregate: cold, from a snapshot, and kept by the repository. */
export const repositoryScenarios: readonly Scenario[] = [
  ...sizes.flatMap((stored): Scenario[] => [
    {
      ...common,
      name: `repository-${stored.eventsEach}`,
      title: `Load an aggregate of ${stored.eventsEach} events through its repository`,
      stored,
      run: async (context) => {
        const { measureRepositoryLoads } = await import('../application/loads.ts');
        return measureRepositoryLoads(context, stored, { snapshots: false });
      },
    },
    {
      ...common,
      name: `snapshot-${stored.eventsEach}`,
      title: `The same from a snapshot and the last two of ${stored.eventsEach} events`,
      stored,
      run: async (context) => {
        const { measureRepositoryLoads } = await import('../application/loads.ts');
        return measureRepositoryLoads(context, stored, { snapshots: true });
      },
    },
  ]),
  {
    name: 'execute-cached',
    title: 'Execute on an aggregate of 500 events that the repository keeps, with nothing new',
    unit: 'round trips',
    better: 'less',
    subjects: ['ours'],
    stored: sizes.at(-1)!,
    run: async (context) => {
      const { measureCachedExecutes } = await import('../application/loads.ts');
      return measureCachedExecutes(context, sizes.at(-1)!);
    },
  },
];
