import { setTimeout as delay } from 'node:timers/promises';

/** A timeout for waits of the library that is long enough even on a slow machine. */
export const patiently = { timeoutMs: 120_000 };

/**
 * Calls `condition` until it returns something truthy, and returns that.
 *
 * A condition that throws is not met yet, so that assertions can be conditions.
 *
 * @throws Error after `timeoutMs`, with what the condition threw last as its cause.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  {
    timeoutMs = patiently.timeoutMs,
    intervalMs = 10,
  }: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const result = await condition();
      if (result) return result;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const reason = cause instanceof Error ? `: ${cause.message}` : '';
      throw new Error(`The condition was not met within ${timeoutMs} ms${reason}`, { cause });
    }
    await delay(intervalMs);
  }
}
