import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { generateLoad, percentile, warmUpSeconds } from '../load-generator.ts';
import { newPayment } from '../payment.ts';
import type { Measurement, ScenarioContext, Scenario } from '../scenario.ts';
import type { Followed } from '../subject.ts';

const callers = 64;

// Some readers check for new events only once a second.
const silenceMs = 5_000;

/** How far readers lag while callers append as fast as they can; the value is the p99. */
export const lagScenarios: readonly Scenario[] = [
  {
    name: 'lag',
    title: 'From an append until a reader has the event, while 64 callers append',
    unit: 'ms',
    better: 'less',
    async run(context) {
      const store = await context.open();
      if (!store.follow) return undefined;
      return measureLag(context, {
        append: (aggregate, events, after) => store.append(aggregate, events, after),
        follow: (onArrival) => store.follow!(({ event }) => onArrival(event)),
      });
    },
  },
  {
    name: 'lag-committed',
    title: 'From an append until a projection has committed the event, while 64 callers append',
    unit: 'ms',
    better: 'less',
    subjects: ['ours'],
    async run(context) {
      const { startBatchLog } = await import('../application/batch-log.ts');
      return measureLag(context, await startBatchLog(context));
    },
  },
];

/** Measures from the call of an append until its event has arrived, by the clock of one process. */
async function measureLag(
  { ready, seconds }: ScenarioContext,
  store: Followed,
): Promise<Measurement> {
  const appendedAt = new Map<string, number>();
  let lags: number[] = [];
  let lastArrival = 0;
  const follower = await store.follow(({ paymentId }) => {
    const at = appendedAt.get(paymentId);
    lastArrival = performance.now();
    if (at === undefined || !appendedAt.delete(paymentId)) return;
    lags.push(lastArrival - at);
  });
  const appendOne = (): Promise<void> => {
    const payment = newPayment();
    appendedAt.set(payment.paymentId, performance.now());
    return store.append(randomUUID(), [payment], 0);
  };
  const arrivals = async (): Promise<void> => {
    lastArrival = performance.now();
    while (appendedAt.size > 0 && performance.now() - lastArrival < silenceMs) await delay(10);
  };

  await generateLoad(callers, warmUpSeconds(seconds), appendOne);
  await arrivals();
  appendedAt.clear();
  lags = [];
  await ready();
  const { perSecond } = await generateLoad(callers, seconds, appendOne);
  await arrivals();
  await follower.stop();
  if (lags.length === 0) throw new Error(`None of ${appendedAt.size} events has arrived.`);
  lags.sort((a, b) => a - b);
  const p99Ms = percentile(lags, 0.99);
  return {
    value: p99Ms,
    p50Ms: percentile(lags, 0.5),
    p99Ms,
    facts: { maxMs: lags.at(-1)!, appendsPerSecond: perSecond, missed: appendedAt.size },
  };
}
