import type { EntityManager } from 'typeorm';
import type { EventStore } from '../../store/event-store.ts';
import type { ParkedEvent, ParkedEvents } from '../parked-events.ts';
import { isTransactional } from '../consumer.ts';
import { callWhileHeld, type Deliverer } from './deliver-slice.ts';
import { HandlerFailure } from '../delivery/handler-failure.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import { isInPartition, type LogFilter } from './selection.ts';

/** What it takes to hand parked events over again. */
export interface ParkedRetryParts extends Deliverer {
  readonly store: EventStore;
  readonly parkedEvents: ParkedEvents;
  readonly log: OperatorLog;
  readonly filter: LogFilter;
}

/**
 * Hands parked events over again whose next attempt was asked for: those of each aggregate in order,
 * until one fails or none is left. What is handled leaves the parked ones in the same transaction.
 *
 * One at a time, so that the runner can take turns: however many are parked and however long each takes,
 * the events of other aggregates are handled meanwhile, and a stop is noticed after each.
 */
export class ParkedRetry {
  readonly #parts: ParkedRetryParts;
  #isAsked: boolean;
  /** The first event of each aggregate that is to be tried. */
  #due: ParkedEvent[] = [];
  /** Which have failed since the next attempt was asked for. */
  readonly #failed = new Set<number>();

  constructor(parts: ParkedRetryParts, isAsked: boolean) {
    this.#parts = parts;
    this.#isAsked = isAsked;
  }

  /** Looks for parked events to try; those that are in hand go first. */
  ask(): void {
    this.#isAsked = true;
  }

  /** Hands over the next event; returns whether there was one. */
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
    // Those that follow them in their aggregates come after these.
    else this.#isAsked = true;
    return this.#due.length > 0;
  }
}

/** Returns whether the event was handled; if not, its aggregate stays parked. */
async function handOver(retry: ParkedRetryParts, event: ParkedEvent): Promise<boolean> {
  const { consumer, cursor, parked, parkedEvents, checkpoints, store, log } = retry;
  const { position, failures } = event;
  try {
    // One that was removed from the log since then is handled by leaving it out.
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
