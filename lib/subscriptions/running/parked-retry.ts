import type { EntityManager } from 'typeorm';
import type { EventStore } from '../../store/event-store.ts';
import type { ParkedEvent, ParkedEvents } from '../parked-events.ts';
import { isTransactional } from '../consumer.ts';
import { callWhileHeld, type Deliverer } from './deliver-slice.ts';
import { HandlerFailure } from '../delivery/handler-failure.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import { isInPartition, type LogFilter } from './selection.ts';

/** The parts that the retry of parked events needs. */
export interface ParkedRetryParts extends Deliverer {
  readonly store: EventStore;
  readonly parkedEvents: ParkedEvents;
  readonly log: OperatorLog;
  readonly filter: LogFilter;
}

/**
 * Delivers parked events again after a retry was requested: those of each aggregate in order, until one
 * fails or none is left. A handled event stops being parked in the same transaction.
 *
 * It delivers one event at a time, so that the runner can take turns: however many events are parked
 * and however long each takes, events of other aggregates are handled meanwhile, and a stop takes
 * effect after each event.
 */
export class ParkedRetry {
  readonly #parts: ParkedRetryParts;
  #isAsked: boolean;
  /** The first event of each aggregate that is to be retried. */
  #due: ParkedEvent[] = [];
  /** The positions of events that have failed since the retry was requested. */
  readonly #failed = new Set<number>();

  constructor(parts: ParkedRetryParts, isAsked: boolean) {
    this.#parts = parts;
    this.#isAsked = isAsked;
  }

  /** Makes the next call look for more events to retry, after those that are already known. */
  ask(): void {
    this.#isAsked = true;
  }

  /** Delivers the next event; returns whether there was one. */
  async next(): Promise<boolean> {
    const { parkedEvents, cursor } = this.#parts;
    if (this.#due.length === 0 && !(await this.#findDue())) return false;
    const event = this.#due.shift()!;
    // It may have been discarded while it waited for its turn.
    if (!(await parkedEvents.isToRetry(cursor.held, event.position))) return true;
    if (!(await handOver(this.#parts, event))) this.#failed.add(event.position);
    return true;
  }

  async #findDue(): Promise<boolean> {
    if (!this.#isAsked) return false;
    this.#isAsked = false;
    const { parkedEvents, cursor } = this.#parts;
    const asked = await parkedEvents.toRetry(cursor.held);
    this.#due = asked.filter(
      ({ aggregate, position }) =>
        isInPartition(aggregate, cursor.held) && !this.#failed.has(position),
    );
    if (this.#due.length === 0) this.#failed.clear();
    // The next events of the same aggregates follow.
    else this.#isAsked = true;
    return this.#due.length > 0;
  }
}

/** Returns whether the event was handled; if not, its aggregate stays parked. */
async function handOver(retry: ParkedRetryParts, event: ParkedEvent): Promise<boolean> {
  const { consumer, cursor, parked, parkedEvents, checkpoints, store, log } = retry;
  const { position, failures } = event;
  try {
    // An event that was removed from the log meanwhile is settled without a delivery.
    const { records } = await store.fetch(position - 1, { limit: 1 });
    const due = records.filter(
      (record) => record.position === position && retry.filter.passes(record),
    );
    const call = async (manager?: EntityManager): Promise<void> => {
      if (due.length > 0) await callWhileHeld(retry, due, manager, failures + 1);
    };
    if (!isTransactional(consumer)) await call();
    const progress = cursor.progress(cursor.at, due.length);
    const { timeoutMs } = consumer.settings;
    let isLast = false;
    await checkpoints.transaction(cursor.held, timeoutMs, async (transaction) => {
      if (isTransactional(consumer)) await call(transaction.manager);
      isLast = await transaction.unpark(position);
      return progress;
    });
    cursor.hasSaved(progress);
    if (isLast) parked.delete(event.aggregate);
    return true;
  } catch (error) {
    if (!checkpoints.isTimeLimit(error) && checkpoints.isInterruption(error)) throw error;
    const cause = error instanceof HandlerFailure ? error.cause : error;
    const failure = { error: cause, position, failures: failures + 1 };
    await parkedEvents.keep(cursor.held, event, failure);
    log.warn(
      `The consumer '${consumer.name}' failed again at the parked event at position ${position}.`,
      cause,
    );
    return false;
  }
}
