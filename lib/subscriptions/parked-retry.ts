import type { EventStore } from '../store/event-store.ts';
import type { ParkedEvent } from './checkpoint-store.ts';
import { isTransactional } from './consumer.ts';
import { callConsumer, type Deliverer } from './delivering.ts';
import { HandlerFailure } from './handler-failure.ts';
import type { RunnerLog } from './runner-log.ts';
import { isInPartition, type LogFilter, passes } from './selection.ts';

/** What it takes to hand parked events over again. */
export interface ParkedRetry extends Deliverer {
  readonly store: EventStore;
  readonly log: RunnerLog;
  readonly filter: LogFilter;
  readonly stopping: AbortSignal;
}

/**
 * Hands parked events over again whose next attempt was asked for: those of each aggregate in order,
 * until one fails or none is left. What is handled leaves the parked ones in the same transaction.
 */
export async function retryParkedEvents(retry: ParkedRetry): Promise<void> {
  const { checkpoints, place, parked, stopping } = retry;
  const failed = new Set<number>();
  for (;;) {
    const asked = await checkpoints.parkedToRetry(place.held);
    const due = asked.filter(
      ({ aggregate, position }) => isInPartition(aggregate, place.held) && !failed.has(position),
    );
    if (due.length === 0 || stopping.aborted) break;
    for (const event of due) if (!(await handOver(retry, event))) failed.add(event.position);
  }
  await parked.refresh(place.held);
}

/** Returns whether the event was handled; if not, its aggregate stays parked. */
async function handOver(retry: ParkedRetry, event: ParkedEvent): Promise<boolean> {
  const { consumer, place, checkpoints, store, log } = retry;
  const { position, failures } = event;
  try {
    // One that was removed from the log since then is handled by leaving it out.
    const { records } = await store.fetch(position - 1, { limit: 1 });
    const due = records.filter(
      (record) => record.position === position && passes(record, retry.filter),
    );
    const call = async (manager?: Parameters<typeof callConsumer>[3]): Promise<void> => {
      if (due.length > 0) await callConsumer(consumer, place, due, manager, failures + 1);
    };
    if (!isTransactional(consumer)) await call();
    const progress = place.progress(place.at, due.length);
    const { timeoutMs } = consumer.settings;
    await checkpoints.transaction(place.held, timeoutMs, async (transaction) => {
      if (isTransactional(consumer)) await call(transaction.manager);
      await transaction.unpark(position);
      return progress;
    });
    place.hasSaved(progress);
    return true;
  } catch (error) {
    if (checkpoints.isInterruption(error)) throw error;
    const cause = error instanceof HandlerFailure ? error.cause : error;
    const failure = { error: cause, position, failures: failures + 1 };
    await checkpoints.keepParked(place.held, event, failure);
    log.warn(
      `The consumer '${consumer.name}' failed again at the parked event at position ${position}.`,
      cause,
    );
    return false;
  }
}
