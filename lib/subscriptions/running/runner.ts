import type { EventStore } from '../../store/event-store.ts';
import type { LogMark } from '../../store/reading/log-place.ts';
import { LogDivergedError } from '../../store/store.errors.ts';
import type { CheckpointStore, HeldCheckpoint } from '../checkpoint-store.ts';
import type { Consumer } from '../consumer.ts';
import type { Generations } from '../generations.ts';
import type { ParkedEvents } from '../parked-events.ts';
import { FailureHandling } from './failure-handling.ts';
import { HandlerFailure } from '../delivery/handler-failure.ts';
import { GenerationChange } from './generation-change.ts';
import { PageDelivery } from './page-delivery.ts';
import type { LogHead } from './log-head.ts';
import { ParkedAggregates } from './parked-aggregates.ts';
import { ParkedRetry } from './parked-retry.ts';
import { CheckpointCursor, settleMs } from './checkpoint-cursor.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import type { LogFilter } from './selection.ts';
import { HistoryDivergedError, ReadModelLostError } from '../subscriptions.errors.ts';
import type { WakeUp } from './wake-up.ts';

/** The parts that all runners of a process share. */
export interface RunnerContext {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore;
  readonly parkedEvents: ParkedEvents;
  readonly generations: Generations;
  readonly head: LogHead;
  readonly wakeUp: WakeUp;
  readonly log: OperatorLog;
}

/**
 * Follows the log for one partition of a consumer, for as long as this process holds its checkpoint.
 *
 * A page of the log is read and delivered before the next page follows, so a slow consumer also reads
 * slowly.
 *
 * Only the database knows the position for certain. After any doubt, such as a commit without an
 * answer, `run` rejects, and the next runner begins with the position in the database.
 */
export class Runner {
  readonly #consumer: Consumer;
  readonly #context: RunnerContext;
  readonly #cursor: CheckpointCursor;
  readonly #parked: ParkedAggregates;
  readonly #failures: FailureHandling;
  readonly #parkedRetry: ParkedRetry;
  readonly #pages: PageDelivery;
  readonly #change: GenerationChange;
  readonly #stopping = new AbortController();
  /** The last event that this process has read or handled before it took this checkpoint again. */
  readonly #readBefore: LogMark | null;
  #hasDiverged = false;

  /** @param heldUntil by `performance.now()`: until then, no other process can have taken the lease. */
  constructor(
    consumer: Consumer,
    filter: LogFilter,
    held: HeldCheckpoint,
    heldUntil: number,
    context: RunnerContext,
    readBefore: LogMark | null,
  ) {
    const { checkpoints, parkedEvents, log } = context;
    const { signal } = this.#stopping;
    this.#consumer = consumer;
    this.#context = context;
    this.#readBefore = readBefore;
    const cursor = (this.#cursor = new CheckpointCursor(checkpoints, held, heldUntil));
    const parked = (this.#parked = new ParkedAggregates(parkedEvents));
    const failures = new FailureHandling(consumer, cursor, parked, checkpoints, log);
    const parts = { ...context, consumer, filter, cursor, parked, failures };
    this.#failures = failures;
    this.#parkedRetry = new ParkedRetry(parts, held.retryParked);
    this.#pages = new PageDelivery({ ...parts, parkedRetry: this.#parkedRetry }, signal);
    this.#change = new GenerationChange(parts, signal);
  }

  get held(): HeldCheckpoint {
    return this.#cursor.held;
  }

  /**
   * The last event that this process has read or handled, unless it was lost: the next runner of the
   * checkpoint must find it in the log.
   */
  get lastMark(): LogMark | null {
    return this.#hasDiverged ? null : (this.#cursor.lastMark ?? this.#readBefore);
  }

  /** Applies a renewal of the lease. */
  renew(held: HeldCheckpoint, heldUntil: number): void {
    this.#cursor.renew(held, heldUntil);
    if (held.diverged) {
      this.#hasDiverged = true;
      this.stop();
    }
    if (!held.retryParked) return;
    this.#parkedRetry.ask();
    this.#context.wakeUp.wake();
  }

  /** Finishes the current work and commits it; then `run` resolves. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Runs until it is stopped, the consumer stops at an event, or a rebuilt generation has replaced the
   * one in use.
   *
   * @throws LeaseLostError if another process holds the checkpoint by now.
   * @throws any error of the database; whatever was not committed comes again.
   */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      if (!(error instanceof HistoryDivergedError || error instanceof LogDivergedError))
        throw error;
      await this.#stopAsDiverged(error.position);
    }
  }

  async #run(): Promise<void> {
    const { checkpoints, generations, store } = this.#context;
    this.#hasDiverged = this.held.diverged;
    // The checkpoint is stored with the log and goes back together with it. What this process has done
    // beyond it does not go back, nor do the effects of handlers.
    const mark = this.#readBefore;
    if (mark && !(await store.log.holds({ position: mark.position, mark }))) {
      throw new LogDivergedError(mark.position);
    }
    const { lostTable, position, consumer, generation } = this.held;
    if (lostTable !== null && !this.#hasDiverged) {
      const error = new ReadModelLostError(consumer, generation, lostTable, position);
      return this.#failures.stop({ error, position: null, failures: 1 });
    }
    try {
      if (!this.#hasDiverged && !this.held.isPrepared) {
        await generations.prepareGeneration(this.#consumer, this.held.generation);
      }
      await this.#parked.refresh(this.held);
      while (!this.#stopping.signal.aborted && !this.#hasDiverged) {
        if (await this.#step()) return;
      }
      if (this.#hasDiverged) throw new LogDivergedError(this.held.position);
      await this.#cursor.saveIdle(true);
    } catch (error) {
      if (!(error instanceof HandlerFailure)) throw error;
      // The failure came from a hook of the projection, or from the database, not from an event.
      if (checkpoints.isInterruption(error.cause)) throw error.cause;
      await this.#failures.stop({ error: error.cause, position: null, failures: 1 });
    }
  }

  async #stopAsDiverged(position: number): Promise<void> {
    this.#context.head.forget();
    const error = new HistoryDivergedError(this.held.consumer, position);
    await this.#failures.stop({ error, position: null, failures: 1 });
    // Set only now: if the checkpoint is held with another fence, the next runner must find out as
    // well.
    this.#hasDiverged = true;
  }

  /** Handles the next page, or waits for one; returns whether the runner is finished. */
  async #step(): Promise<boolean> {
    const { wakeUp } = this.#context;
    const { signal } = this.#stopping;
    const cursor = this.#cursor;
    const { tick } = wakeUp;
    const hasRetried = await this.#parkedRetry.next();
    if (signal.aborted) return false;
    const bound = await this.#change.bound();
    const outcome = cursor.position < bound ? await this.#pages.handleNext(bound) : 'idle';
    if (outcome === 'stopped') return true;
    // More parked events may be due.
    if (hasRetried) return false;
    if (this.held.rebuild && (cursor.atEnd || cursor.position >= bound)) {
      if (await this.#change.replaceFormer()) return true;
      if (outcome === 'idle') await wakeUp.after(tick, settleMs, signal);
    } else if (outcome === 'idle') {
      await cursor.saveIdle();
      await wakeUp.after(tick, cursor.isSaved ? undefined : settleMs, signal);
    }
    return false;
  }
}
