import { sleep } from '../input/sleep.ts';
import type { OperatorLog } from '../store/operator-log.ts';
import type { ConsumerRegistry } from '../subscriptions/consumer-registry.ts';
import { ConsumerStateError } from '../subscriptions/subscriptions.errors.ts';

/**
 * Resolves once these inline projections are in use, so that every append applies them, or once
 * `stopping` aborts.
 *
 * @throws ConsumerStateError if a projection stopped while it was built.
 */
export async function untilInlineInUse(
  names: readonly string[],
  { registry, log }: { readonly registry: ConsumerRegistry; readonly log: OperatorLog },
  stopping?: AbortSignal,
): Promise<void> {
  const askedAt = performance.now();
  let hasWarned = false;
  for (;;) {
    const states = (await registry.states()).filter(({ name }) => names.includes(name));
    const missing = states.filter(({ generation }) => generation === 0);
    if (missing.length === 0 || stopping?.aborted) return;
    for (const { name, status, partitions } of missing) {
      if (status !== 'stopped') continue;
      const reason = partitions.find(({ error }) => error)?.error?.message ?? 'unknown';
      throw new ConsumerStateError(name, `could not be built from the log: ${reason}`);
    }
    if (!hasWarned && performance.now() - askedAt > 2_000) {
      hasWarned = true;
      const which = missing.map(({ name, position }) => `${name} at position ${position}`);
      log.warn(`Waiting until inline projections are built: ${which.join(', ')}.`);
    }
    await sleep(20, stopping);
  }
}
