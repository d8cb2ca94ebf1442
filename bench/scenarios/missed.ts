import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { generateLoad } from '../load-generator.ts';
import { newPayments } from '../payment.ts';
import type { Scenario } from '../scenario.ts';

// Some readers check for new events only once a second.
const silenceMs = 5_000;

/** Whether a reader that follows the log gets every event that writers store meanwhile. */
export const missed: Scenario = {
  name: 'missed',
  title: 'Events that a catch-up reader misses while 16 callers append',
  unit: 'events missed',
  better: 'less',
  summary: 'worst',
  quick: ['ours'],
  async run({ open, ready, seconds }) {
    const store = await open();
    if (!store.follow) return undefined;
    const seen = new Set<string>();
    let twice = 0;
    let lastSeen = 0;
    const follower = await store.follow(({ event: { paymentId } }) => {
      if (seen.has(paymentId)) twice++;
      seen.add(paymentId);
      lastSeen = performance.now();
    });

    await ready();
    const stored: string[] = [];
    await generateLoad(16, seconds, async () => {
      const payments = newPayments(1 + Math.floor(Math.random() * 3));
      await store.append(randomUUID(), payments, 0);
      for (const { paymentId } of payments) stored.push(paymentId);
    });
    lastSeen = performance.now();
    while (seen.size < stored.length && performance.now() - lastSeen < silenceMs) await delay(50);
    await follower.stop();
    const value = stored.filter((paymentId) => !seen.has(paymentId)).length;
    return { value, facts: { stored: stored.length, twice } };
  },
};
