import { setTimeout as delay } from 'node:timers/promises';
import type { INestApplicationContext } from '@nestjs/common';
import type { ApplicationConsumers } from '../module/application-consumers.ts';
import { getApplicationConsumersToken, getConsumersToken } from '../module/tokens.ts';
import { KnownOptions } from '../input/known-options.ts';
import type { Consumers } from '../subscriptions/control/consumers.ts';
import type { ConsumerState } from '../subscriptions/consumer-state.ts';
import { ConsumerStateError } from '../subscriptions/subscriptions.errors.ts';
import { isFinished, parkedError, refuseIfDown, timeoutError } from './drain-errors.ts';

export interface DrainOptions {
  /** The name of the store. @default 'default' */
  readonly store?: string;
  /** Whether events may stay parked; otherwise parked events are an error. @default false */
  readonly allowParked?: boolean;
  /** The longest time to wait, in milliseconds. @default 4000 */
  readonly timeoutMs?: number;
}

const drainOptions = new KnownOptions<DrainOptions>('drain', {
  store: true,
  allowParked: true,
  timeoutMs: true,
});

/**
 * Resolves once all projections and durable handlers have finished everything in the log, including
 * events that handlers append meanwhile, and running rebuilds.
 *
 * Waits for the consumers that this application runs, and for those that another process holds. A
 * consumer that `autoStart` excludes here and that no other process runs is ignored. It does not wait
 * for work that handlers on the `EventBus` start, nor for work that a handler does not await.
 *
 * @throws ConsumerStateError if a consumer has stopped, has parked events, or is paused before it has
 * finished, and if no process runs any consumer of this application.
 * @throws WaitTimeoutError if it takes longer; the error gives the reason if it is known.
 * @throws UnsupportedFeatureError if the store is in memory.
 *
 * @example
 * await request(app.getHttpServer()).post('/accounts').send({ owner: 'Ada' });
 * await drain(app);
 * await request(app.getHttpServer()).get('/accounts').expect([{ owner: 'Ada' }]);
 */
export async function drain(
  app: INestApplicationContext,
  options: DrainOptions = {},
): Promise<void> {
  const { store, allowParked = false, timeoutMs = 4_000 } = drainOptions.take(options);
  const control = app.get<Consumers>(getConsumersToken(store), { strict: false });
  const isConcerned = concernOf(app, store);
  const deadline = performance.now() + timeoutMs;
  let atRest: ReadonlySet<string> = new Set();
  for (let pauseMs = 2; ; pauseMs = Math.min(50, pauseMs * 1.5)) {
    const { consumers, horizon } = await control.list();
    const concerned = isConcerned(consumers);
    // All states were read at one moment, and a handler's appends commit before its checkpoint, so a
    // consumer that is finished at that moment is finished for good.
    const unfinished = concerned.find(
      (each) => !isFinished(each) || (each.parkedEvents > 0 && !atRest.has(each.name)),
    );
    if (!unfinished) return;
    for (const each of concerned) refuseIfDown(each);
    // Parked events that are retried may append, so their retries must end before the states are read.
    atRest = await parkedAtRest(control, concerned, allowParked);
    if (performance.now() >= deadline) throw timeoutError(unfinished, horizon, timeoutMs);
    await delay(pauseMs);
  }
}

/** Returns the consumers to wait for: those run here, and those that another process runs. */
function concernOf(
  app: INestApplicationContext,
  store: string | undefined,
): (states: readonly ConsumerState[]) => readonly ConsumerState[] {
  const here = app.get<ApplicationConsumers>(getApplicationConsumersToken(store), {
    strict: false,
  });
  const names = [...here.consumers.keys()];
  const concerned = new Set(names.filter((name) => here.runs(name)));
  return (states) => {
    for (const each of states) if (isHeld(each)) concerned.add(each.name);
    if (names.length > 0 && concerned.size === 0) {
      throw new ConsumerStateError(
        names[0]!,
        'is run by no process, and neither is any other consumer of this application. Look at ' +
          'autoStart, or start the application that runs them before drain().',
      );
    }
    return states.filter(({ name }) => concerned.has(name));
  };
}

// The list shows the status of an expired lease as waiting.
const isHeld = ({ partitions }: ConsumerState): boolean =>
  partitions.some(({ owner, status }) => owner !== null && status !== 'waiting');

/** Returns the names of consumers with parked events of which none is being retried. */
async function parkedAtRest(
  control: Consumers,
  states: readonly ConsumerState[],
  allowParked: boolean,
): Promise<ReadonlySet<string>> {
  const atRest = new Set<string>();
  for (const { name } of states.filter(({ parkedEvents }) => parkedEvents > 0)) {
    const parked = await control.parked(name);
    const [first] = parked;
    if (!first || parked.some(({ retrying }) => retrying)) continue;
    if (!allowParked) throw parkedError(name, first);
    atRest.add(name);
  }
  return atRest;
}
