/** How long to warm up with calls that do not count: code is compiled and connections are opened. */
export const warmUpSeconds = (seconds: number): number => Math.max(1, seconds / 2);

/** What the callers achieved. */
export interface Calls {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Runs this many `callers` for `seconds`; each makes one call after another and awaits every answer.
 * Calls that end after that time are awaited but do not count.
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
    // Until the last counted call: calls end in batches, and the time of a cut-off batch must not count.
    perSecond: latencies.length === 0 ? 0 : (latencies.length * 1_000) / lastMs,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

/** Returns the value below which this share of the sorted values lies. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
