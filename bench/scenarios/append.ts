import { randomUUID } from 'node:crypto';
import { generateLoad, warmUpSeconds } from '../load-generator.ts';
import { newPayments } from '../payment.ts';
import type { ScenarioContext, Scenario } from '../scenario.ts';
import type { OpenSubject } from '../subject.ts';

type Append = (store: OpenSubject) => Promise<void>;

const toNewAggregate =
  (eventsEach: number): Append =>
  (store) =>
    store.append(randomUUID(), newPayments(eventsEach), 0);

const hotAggregate = randomUUID();
const toHotAggregate: Append = (store) => store.append(hotAggregate, newPayments(1), 'any');

const insideTransaction: Append = (store) =>
  store.appendInTransaction!(randomUUID(), newPayments(1), 0);

/** Appends again and again with this many `callers`; each awaits an append before the next one. */
async function measureAppends(
  { open, ready, seconds }: ScenarioContext,
  callers: number,
  append: Append,
  eventsEach = 1,
) {
  const store = await open();
  if (append === insideTransaction && !store.appendInTransaction) return undefined;
  await generateLoad(callers, warmUpSeconds(seconds), () => append(store));
  await ready();
  const conflictsBefore = store.conflicts?.() ?? 0;
  const { perSecond, ...latency } = await generateLoad(callers, seconds, () => append(store));
  const conflicts = (store.conflicts?.() ?? 0) - conflictsBefore;
  return {
    value: perSecond * eventsEach,
    ...latency,
    ...(conflicts > 0 && { facts: { conflicts } }),
  };
}

const single = { unit: 'appends/s', better: 'more' } as const;
const several = { unit: 'events/s', better: 'more' } as const;

/** How fast events are appended. */
export const appendScenarios: readonly Scenario[] = [
  {
    ...single,
    name: 'one-writer',
    title: 'One writer, single events to new aggregates',
    quick: ['ours', 'raw'],
    run: (context) => measureAppends(context, 1, toNewAggregate(1)),
  },
  {
    ...single,
    name: 'callers-16',
    title: '16 callers, single events to new aggregates',
    run: (context) => measureAppends(context, 16, toNewAggregate(1)),
  },
  {
    ...single,
    name: 'callers-64',
    title: '64 callers, single events to new aggregates',
    quick: ['ours', 'raw'],
    run: (context) => measureAppends(context, 64, toNewAggregate(1)),
  },
  {
    ...single,
    name: 'hot-aggregate',
    title: '64 callers, single events to one aggregate, without an expectation',
    quick: ['ours'],
    run: (context) => measureAppends(context, 64, toHotAggregate),
  },
  {
    ...single,
    name: 'callers-256',
    title: '256 callers, single events to new aggregates',
    run: (context) => measureAppends(context, 256, toNewAggregate(1)),
  },
  {
    ...several,
    name: 'callers-256-by-5',
    title: '256 callers, five events per append',
    quick: ['ours'],
    run: (context) => measureAppends(context, 256, toNewAggregate(5), 5),
  },
  {
    ...several,
    name: 'bulk',
    title: 'The limit: 1,000 rows per statement, two statements at a time',
    quick: ['unnest'],
    subjects: ['unnest'],
    run: (context) => measureAppends(context, 2, toNewAggregate(1_000), 1_000),
  },
  {
    ...several,
    name: 'callers-16-by-25',
    title: '16 callers, 25 events per append',
    run: (context) => measureAppends(context, 16, toNewAggregate(25), 25),
  },
  {
    ...single,
    name: 'processes-4',
    title: 'Four processes of 16 callers, single events to new aggregates',
    processes: 4,
    run: (context) => measureAppends(context, 16, toNewAggregate(1)),
  },
  {
    ...single,
    name: 'in-transaction',
    title: "16 callers, single events inside the caller's own transaction",
    run: (context) => measureAppends(context, 16, insideTransaction),
  },
];
