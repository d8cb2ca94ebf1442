import type { EventStore } from '../../store/event-store.ts';
import { pause } from './sleep.ts';
import { settleMs } from './checkpoint-cursor.ts';

/**
 * Waits until all that is appended by now can be read, for so long and no longer.
 *
 * Returns whether it can: if not, some transaction that has appended stays open.
 */
export async function horizonPasses(
  store: EventStore,
  patienceMs: number,
  stopping: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  const { lastPosition: end } = await store.horizon();
  while ((await store.horizon()).position < end) {
    if (performance.now() > deadline || stopping.aborted) return false;
    await pause(settleMs, stopping);
  }
  return true;
}
