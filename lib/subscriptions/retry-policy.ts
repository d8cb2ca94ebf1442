import { KnownOptions } from '../input/known-options.ts';

/** Decides how long to wait before a failed attempt is repeated, and when to give up. */
export interface RetryPolicy {
  /**
   * Returns the milliseconds to wait before the next attempt, or `undefined` to give up.
   *
   * @param failures how many attempts have failed so far, at least 1.
   */
  delayMs(failures: number): number | undefined;
}

export interface ExponentialBackoffOptions {
  /** How many attempts may follow the first one. @default 5 */
  readonly retries?: number;
  /** The longest first delay, in milliseconds. @default 200 */
  readonly firstDelayMs?: number;
  /** The longest delay, in milliseconds. @default 30000 */
  readonly maxDelayMs?: number;
}

const backoffOptions = new KnownOptions<ExponentialBackoffOptions>('exponentialBackoff', {
  retries: true,
  firstDelayMs: true,
  maxDelayMs: true,
});

/**
 * Doubles the delay after every failure and takes a random part of its upper half, so that consumers
 * that failed together do not retry together.
 */
export function exponentialBackoff(options: ExponentialBackoffOptions = {}): RetryPolicy {
  const { retries = 5, firstDelayMs = 200, maxDelayMs = 30_000 } = backoffOptions.take(options);
  return {
    delayMs(failures) {
      if (failures > retries) return undefined;
      const longest = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1));
      return Math.round(longest * (0.5 + Math.random() / 2));
    },
  };
}

/** Gives up at the first failure. */
export const noRetry: RetryPolicy = { delayMs: () => undefined };
