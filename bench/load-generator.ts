/** For how long to make calls that do not count: until the code is compiled and connections are open. */
export const warmUpSeconds = (seconds: number): number => Math.max(1, seconds / 2);

/** What callers have got done. */
export interface Calls {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Lets `callers` make one call after the other for `seconds`; each waits for its answer before
 * the next one. Calls that end after that time are awaited, and do not count.
 */
export async function generateLoad(
  callers: number,
  seconds: number,
  call: (caller: number) => Promise<unknown>,
): Promise<Calls> {
  const latencies: number[] = [];
  const started = performance.now();
  const end = started + seconds * 1_000;
  let lastMs = 0;
  let failed = false;
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      for (let before = started; before < end && !failed;) {
        try {
          await call(caller);
        } catch (error) {
          failed = true;
          throw error;
        }
        const after = performance.now();
        if (after <= end) {
          latencies.push(after - before);
          lastMs = after - started;
        }
        before = after;
      }
    }),
  );
  latencies.sort((a, b) => a - b);
  return {
    // Calls that end in batches: what the clock cut off has no share in the time either.
    perSecond: latencies.length === 0 ? 0 : (latencies.length * 1_000) / lastMs,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

/** The value below which so great a share of the values lies, which are in order. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
