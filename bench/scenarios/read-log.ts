import type { Scenario } from '../scenario.ts';
import type { OpenSubject } from '../subject.ts';

const stored = { aggregates: 10_000, eventsEach: 10 };

/** How fast the whole log is read, from its beginning to its end. */
export const readLog: Scenario = {
  name: 'read-log',
  title: 'Read the whole log, 100,000 events',
  unit: 'events/s',
  better: 'more',
  quick: ['ours', 'raw'],
  stored,
  async run({ open, ready, seconds }) {
    const store = await open();
    if (!store.readAll) return undefined;
    await readOnce(store);
    await ready();
    const started = performance.now();
    let events = 0;
    let elapsedMs = 0;
    while (elapsedMs < seconds * 1_000) {
      events += await readOnce(store);
      elapsedMs = performance.now() - started;
    }
    return { value: (events * 1_000) / elapsedMs };
  },
};

async function readOnce(store: OpenSubject): Promise<number> {
  let events = 0;
  await store.readAll!(({ event }) => {
    if (event.paymentId) events++;
  });
  const expected = stored.aggregates * stored.eventsEach;
  if (events !== expected) throw new Error(`Read ${events} events of ${expected}.`);
  return events;
}
