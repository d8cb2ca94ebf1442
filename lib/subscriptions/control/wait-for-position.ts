import { setTimeout as delay } from 'node:timers/promises';
import { withTimeout } from '../../input/with-timeout.ts';
import type { Reached } from '../consumer-registry.ts';
import { WaitTimeoutError } from '../subscriptions.errors.ts';

/**
 * Resolves once a consumer has reached a position; `ask` returns its progress.
 *
 * @throws WaitTimeoutError if it does not reach the position in time; the error gives the reason if the
 * consumer is down.
 */
export async function waitForPosition(
  name: string,
  position: number,
  timeoutMs: number,
  ask: () => Promise<Reached>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reached: Reached | undefined;
  const timeoutError = (): WaitTimeoutError => {
    const reason = whyLate(name, reached);
    return new WaitTimeoutError(name, position, reached?.position, timeoutMs, reason);
  };
  for (let pauseMs = 2; ; pauseMs = Math.min(50, pauseMs * 1.5)) {
    const patienceMs = Math.max(deadline - performance.now(), reached ? 0 : leastPatienceMs);
    // While all connections of the pool are taken, the question itself has to wait.
    reached = await withTimeout(Math.min(patienceMs, longestTimerMs), ask(), timeoutError);
    if (reached.position >= position) return;
    const remainingMs = deadline - performance.now();
    if (remainingMs < 2) throw timeoutError();
    await delay(Math.min(pauseMs, remainingMs / 2));
  }
}

/** The least time for the database to report the state of a consumer for the first time. */
const leastPatienceMs = 100;

/** The longest timer of Node.js; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

function whyLate(name: string, reached: Reached | undefined): string | undefined {
  if (!reached) {
    return 'The database has not said how far it is; look for what takes all connections of the pool.';
  }
  const { status, error } = reached;
  if (status === 'stopped') return `It has stopped: ${error}. Fix it, then call resume('${name}').`;
  if (status === 'paused') return `It is paused; call resume('${name}').`;
  if (status === 'retrying') return `It is trying again after an error: ${error}.`;
  if (status === 'waiting') return 'No process runs it; look at autoStart and at your workers.';
  return undefined;
}
