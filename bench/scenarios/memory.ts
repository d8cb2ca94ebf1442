import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Scenario } from '../scenario.ts';
import type { OpenSubject } from '../subject.ts';

const stored = { aggregates: 100_000, eventsEach: 10 };
const mebibyte = 1024 * 1024;

/** The resident memory of a process while it reads the whole log. */
export const memory: Scenario = {
  name: 'memory',
  title: 'Resident memory above idle while a million events are read',
  unit: 'MB',
  better: 'less',
  subjects: ['ours', 'raw'],
  stored,
  async run({ open, ready }) {
    const store = await open();
    if (!store.readAll) return undefined;
    await connect(store);
    await ready();
    collectGarbage();
    const idle = process.memoryUsage();
    let peak = idle.rss;
    let peakHeap = idle.heapUsed;
    let events = 0;
    await store.readAll(({ event }) => {
      if (event.paymentId) events++;
      if (events % 1_000 > 0) return;
      const { rss, heapUsed } = process.memoryUsage();
      peak = Math.max(peak, rss);
      peakHeap = Math.max(peakHeap, heapUsed);
    });
    const expected = stored.aggregates * stored.eventsEach;
    if (events !== expected) throw new Error(`Read ${events} events of ${expected}.`);
    return {
      value: (peak - idle.rss) / mebibyte,
      facts: {
        idleMb: idle.rss / mebibyte,
        // Includes garbage that is not collected yet.
        heapMb: (peakHeap - idle.heapUsed) / mebibyte,
      },
    };
  },
};

/** Makes a process idle: it has a connection and has read one page. */
async function connect(store: OpenSubject): Promise<void> {
  const enough = new Error('enough');
  const stop = (): never => {
    throw enough;
  };
  await store.readAll!(stop).catch((error: unknown) => {
    if (error !== enough) throw error;
  });
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
