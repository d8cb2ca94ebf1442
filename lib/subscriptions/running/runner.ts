import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import type { EventStore } from '../../store/event-store.ts';
import { type LogMark, type LogPlace, markOf, placeOf } from '../../store/reading/log-place.ts';
import type { LogReader } from '../../store/reading/log-reader.ts';
import { LogDivergedError } from '../../store/store.errors.ts';
import {
  isUnreadable,
  placeAfter,
  type UnreadableEventError,
} from '../../store/reading/unreadable-event.ts';
import type { CheckpointStore, HeldCheckpoint } from '../checkpoint-store.ts';
import { type Consumer, isTransactional } from '../consumer.ts';
import { callConsumer, deliver, type Deliverer } from './deliver-slice.ts';
import { FailureHandling } from './failure-handling.ts';
import { HandlerFailure } from '../handler-failure.ts';
import { horizonPasses } from './until-readable.ts';
import type { HeadPage, LogHead } from './log-head.ts';
import { ParkedAggregates } from './parked-aggregates.ts';
import { ParkedRetry } from './parked-retry.ts';
import { pause } from './sleep.ts';
import { Place, settleMs } from './checkpoint-cursor.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import { isDue, isLeftFor, isReplayed, type LogFilter } from './selection.ts';
import {
  HandlerCrashedError,
  HistoryDivergedError,
  ReadModelLostError,
} from '../subscriptions.errors.ts';
import type { WakeUp } from './wake-up.ts';

/** What every runner of a process shares. */
export interface RunnerContext {
  readonly store: EventStore & LogReader;
  readonly checkpoints: CheckpointStore;
  readonly head: LogHead;
  readonly wakeUp: WakeUp;
  readonly log: OperatorLog;
}

/** Owners that were lost in a row before events come one at a time, so as to find the one to blame. */
const carefulAfterTakeovers = 5;
/** And before the first event is taken for what ends them. */
const blamedAfterTakeovers = 10;
/** How long appends may have to wait while an inline projection is exchanged. */
const patienceMs = 500;

/**
 * Follows the log for one partition of a consumer, for as long as this process holds its checkpoint.
 *
 * A page of the log is read, handed over in slices, and each slice commits together with its
 * checkpoint. When a slice fails it is halved, until the event to blame stands alone: that one is
 * tried again, and then dealt with by the consumer's policy. The next page is read only when one is
 * done, so a slow consumer reads slowly.
 *
 * Where it stands is known from the database only: after any doubt, a commit without an answer say,
 * `run` rejects, and whoever called it asks the database anew.
 */
export class Runner {
  readonly #consumer: Consumer;
  readonly #filter: LogFilter;
  readonly #context: RunnerContext;
  readonly #place: Place;
  readonly #parked: ParkedAggregates;
  readonly #failures: FailureHandling;
  readonly #deliverer: Deliverer;
  readonly #stopping = new AbortController();
  /** How many events the next slice may have. */
  #sliceSize: number;
  readonly #parkedRetry: ParkedRetry;
  /** A page that is being read while the one before it is handed over. */
  #ahead: { readonly after: number; readonly page: Promise<HeadPage> } | undefined;
  /** What this process has read or handled before it took the checkpoint up again. */
  readonly #readBefore: LogMark | null;
  #hasDiverged = false;

  /** @param heldUntil by `performance.now()`: until then nobody else can have taken the lease. */
  constructor(
    consumer: Consumer,
    filter: LogFilter,
    held: HeldCheckpoint,
    heldUntil: number,
    context: RunnerContext,
    readBefore: LogMark | null,
  ) {
    const { checkpoints, log } = context;
    const place = new Place(checkpoints, held, heldUntil);
    const parked = new ParkedAggregates(checkpoints);
    this.#consumer = consumer;
    this.#filter = filter;
    this.#context = context;
    this.#readBefore = readBefore;
    this.#place = place;
    this.#parked = parked;
    this.#failures = new FailureHandling(consumer, place, parked, checkpoints, log);
    this.#deliverer = { consumer, place, parked, checkpoints };
    const retryParts = { ...this.#deliverer, ...context, filter };
    this.#parkedRetry = new ParkedRetry(retryParts, held.retryParked);
    this.#sliceSize = held.takeovers >= carefulAfterTakeovers ? 1 : this.#largestSlice;
  }

  get held(): HeldCheckpoint {
    return this.#place.held;
  }

  /**
   * The last event that this process has read or handled, if it was not lost: what the next runner of
   * the checkpoint has to find in the log.
   */
  get lastMark(): LogMark | null {
    return this.#hasDiverged ? null : (this.#place.lastMark ?? this.#readBefore);
  }

  /** Takes over what a renewal of the lease has brought. */
  renew(held: HeldCheckpoint, heldUntil: number): void {
    this.#place.renew(held, heldUntil);
    if (held.diverged) {
      this.#hasDiverged = true;
      this.stop();
    }
    if (!held.retryParked) return;
    this.#parkedRetry.ask();
    this.#context.wakeUp.wake();
  }

  /** Finishes what it has in hand and commits it; `run` resolves then. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Runs until it is stopped, gives an event up, or has put a rebuilt generation in its place.
   *
   * @throws LeaseLostError if another process holds the checkpoint by now.
   * @throws whatever the database fails with; what was not committed comes again.
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
    const { checkpoints, store } = this.#context;
    this.#hasDiverged = this.held.diverged;
    // The checkpoint is kept beside the log and goes back together with it. What this process has done
    // beyond it does not, nor do the effects of handlers.
    const mark = this.#readBefore;
    if (mark && !(await store.holds({ position: mark.position, mark }))) {
      throw new LogDivergedError(mark.position);
    }
    const { lostTable, position, consumer, generation } = this.held;
    if (lostTable !== null && !this.#hasDiverged) {
      const error = new ReadModelLostError(consumer, generation, lostTable, position);
      return this.#failures.stop({ error, position: null, failures: 1 });
    }
    try {
      if (!this.#hasDiverged && !this.held.isPrepared) {
        await checkpoints.prepareGeneration(this.#consumer, this.held.generation);
      }
      await this.#parked.refresh(this.held);
      while (!this.#stopping.signal.aborted && !this.#hasDiverged) {
        if (await this.#step()) return;
      }
      if (this.#hasDiverged) throw new LogDivergedError(this.held.position);
      await this.#place.saveIdle(true);
    } catch (error) {
      if (!(error instanceof HandlerFailure)) throw error;
      // No event, but a hook of the projection; or what the database did to it.
      if (checkpoints.isInterruption(error.cause)) throw error.cause;
      await this.#failures.stop({ error: error.cause, position: null, failures: 1 });
    }
  }

  async #stopAsDiverged(position: number): Promise<void> {
    this.#context.head.forget();
    const error = new HistoryDivergedError(this.held.consumer, position);
    await this.#failures.stop({ error, position: null, failures: 1 });
    // Only now: if the checkpoint is held with another fence, the next runner has to find out as well.
    this.#hasDiverged = true;
  }

  /** Handles the next page, or waits for one; returns whether there is nothing more to do for it. */
  async #step(): Promise<boolean> {
    const { wakeUp } = this.#context;
    const { signal } = this.#stopping;
    const place = this.#place;
    const { tick } = wakeUp;
    const hasRetried = await this.#parkedRetry.next();
    if (signal.aborted) return false;
    const bound = await this.#bound();
    const outcome = place.position < bound ? await this.#handleNextPage(bound) : 'idle';
    if (outcome === 'stopped') return true;
    // More of them may be due.
    if (hasRetried) return false;
    if (this.held.rebuild && (place.atEnd || place.position >= bound)) {
      if (await this.#replaceFormer()) return true;
      if (outcome === 'idle') await wakeUp.after(tick, settleMs, signal);
    } else if (outcome === 'idle') {
      await place.saveIdle();
      await wakeUp.after(tick, place.isSaved ? undefined : settleMs, signal);
    }
    return false;
  }

  /** A generation that is built goes no further than the one in use, so that no effect comes twice. */
  async #bound(): Promise<number> {
    if (!this.held.rebuild) return Infinity;
    const inUse = await this.#context.checkpoints.markInUse(this.#consumer.name);
    return inUse ? Math.min(...inUse.positions) : Infinity;
  }

  async #handleNextPage(bound: number): Promise<'busy' | 'idle' | 'stopped'> {
    const place = this.#place;
    let page: HeadPage;
    try {
      page = await this.#nextPage();
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return this.#leaveUnreadable(error);
    }
    const through = this.#throughOf(page, bound);
    place.atEnd = page.atEnd && page.position <= bound;
    const records = page.records.filter(
      (record) => record.position <= through.position && isDue(record, this.#filter, this.held),
    );
    if (records.length === 0) {
      // A page that others have read may be older than the last wake-up: then look again from its end.
      const isAtEnd = page.atEnd && place.position === through.position;
      place.at = through;
      if (isAtEnd) return 'idle';
      // What was passed over need not be passed over again after an interruption.
      await place.saveIdle();
      return 'busy';
    }
    return (await this.#handle(records, through)) ? 'busy' : 'stopped';
  }

  /** The end of a page, or the bound if that comes first, with the last event that is known up to it. */
  #throughOf(page: HeadPage, bound: number): LogPlace {
    const { position, mark } = page;
    if (position <= bound) return { position, mark };
    const last = page.records.findLast((record) => record.position <= bound);
    return { position: bound, mark: last ? markOf(last) : this.#place.at.mark };
  }

  /** The next page. The one after it is read meanwhile, as long as there is one. */
  async #nextPage(): Promise<HeadPage> {
    const { at } = this.#place;
    const { batchSize } = this.#consumer.settings;
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const wasReadAhead = ahead?.after === at.position;
    const page = await (wasReadAhead ? ahead.page : this.#read(at, batchSize));
    // One that was read some time ago cannot tell whether it still is the last one.
    if (page.atEnd) return { ...page, atEnd: !wasReadAhead };
    if (!this.#stopping.signal.aborted) {
      const next = this.#read(page, batchSize);
      // It is thrown where it is awaited.
      next.catch(ignore);
      this.#ahead = { after: page.position, page: next };
    }
    return page;
  }

  /** A page; a shorter one, if need be, to end before an event that cannot be read. */
  async #read(after: LogPlace, limit: number): Promise<HeadPage> {
    try {
      return await this.#context.head.read(after, this.#filter, limit);
    } catch (error) {
      if (!isUnreadable(error) || limit === 1) throw error;
      return this.#read(after, limit >> 1);
    }
  }

  async #leaveUnreadable(error: UnreadableEventError): Promise<'busy' | 'stopped'> {
    const at = placeAfter(error);
    const settlement = isLeftFor(error, this.held)
      ? await this.#failures.settle(at, error, this.#stopping.signal)
      : 'done';
    if (settlement === 'done') this.#place.at = at;
    return settlement === 'stopped' ? 'stopped' : 'busy';
  }

  /** Hands over the records of a page, slice by slice; returns whether the consumer goes on. */
  async #handle(records: readonly EventRecord[], through: LogPlace): Promise<boolean> {
    let rest = records;
    while (rest.length > 0 && !this.#stopping.signal.aborted) {
      const slice = this.#sliceOf(rest);
      const remaining = rest.slice(slice.length);
      const { position } = slice[0]!;
      const end = remaining.length === 0 ? through : placeOf(slice.at(-1)!);
      try {
        this.#refuseAfterCrashes(position);
        await deliver(this.#deliverer, slice, end, this.#failures.attemptAt(position));
        this.#sliceSize = Math.min(this.#largestSlice, this.#sliceSize * 2);
      } catch (error) {
        const { checkpoints } = this.#context;
        // What took too long for the database would take too long again.
        const isTooLong = checkpoints.isTimeLimit(error);
        if (!isTooLong && checkpoints.isInterruption(error)) throw error;
        const cause = error instanceof HandlerFailure ? error.cause : error;
        if (position !== slice.at(-1)!.position) {
          this.#sliceSize = slice.length >> 1;
          if (isTooLong) await this.#failures.noteTimeLimit(placeOf(slice[0]!), cause);
          continue;
        }
        const settlement = await this.#failures.settle(
          placeOf(slice[0]!),
          cause,
          this.#stopping.signal,
        );
        if (settlement === 'stopped') return false;
        if (settlement === 'again') continue;
      }
      this.#place.at = end;
      rest = remaining;
      await this.#throttle(slice.length);
      // Takes turns: neither new events wait for all parked ones, nor those for a whole page.
      if (rest.length > 0 && !this.#stopping.signal.aborted) await this.#parkedRetry.next();
    }
    return true;
  }

  /** The first records that are handed over together: all of them replayed, or all of them new. */
  #sliceOf(records: readonly EventRecord[]): readonly EventRecord[] {
    const replayed = isReplayed(records[0]!, this.held);
    let length = 1;
    while (
      length < records.length &&
      isReplayed(records[length]!, this.held) === replayed &&
      // The parts of one stored event stay together: a checkpoint cannot stand between them.
      (length < this.#sliceSize || records[length]!.position === records[length - 1]!.position)
    ) {
      length += 1;
    }
    return records.slice(0, length);
  }

  get #largestSlice(): number {
    return isTransactional(this.#consumer) ? this.#consumer.settings.batchSize : 1;
  }

  /** @throws HandlerFailure if the event at this position has ended every process that tried it. */
  #refuseAfterCrashes(position: number): void {
    const { takeovers, consumer } = this.held;
    if (takeovers < blamedAfterTakeovers || this.#place.hasMoved) return;
    throw new HandlerFailure(new HandlerCrashedError(consumer, position, takeovers));
  }

  /** Tries to put this generation in the place of the one in use. */
  async #replaceFormer(): Promise<boolean> {
    const { store, checkpoints } = this.#context;
    await this.#place.saveIdle(true);
    // The exchange of an inline projection keeps appends waiting until the whole log can be read. So it
    // is not begun beside a transaction that has appended and stays open.
    const keepsAppendsWaiting = this.#consumer.kind === 'inline-projection';
    if (keepsAppendsWaiting && !(await horizonPasses(store, patienceMs, this.#stopping.signal))) {
      return false;
    }
    return checkpoints.replace(this.held, this.#consumer, (manager, through) =>
      this.#catchUp(manager, through),
    );
  }

  /** Applies the log up to `through` in one transaction; returns whether it has come so far. */
  async #catchUp(manager: EntityManager, through: number): Promise<boolean> {
    const { storedTypes: types } = this.#filter;
    // Appends of others are in flight for moments only; one that stays open is not waited for, as all
    // appends that concern the projection wait meanwhile.
    const deadline = performance.now() + patienceMs;
    for (let position = this.#place.position; position < through;) {
      const page = await this.#context.store.fetch(position, { types, manager });
      const due = page.records.filter((record) => isDue(record, this.#filter, this.held));
      if (due.length > 0) await callConsumer(this.#consumer, this.#place, due, manager, 1);
      if (page.position <= position) {
        if (performance.now() > deadline) return false;
        await pause(5, this.#stopping.signal);
      }
      position = Math.max(position, page.position);
    }
    return true;
  }

  async #throttle(events: number): Promise<void> {
    const most = this.held.rebuild?.eventsPerSecond;
    if (most) await pause((events / most) * 1_000, this.#stopping.signal);
  }
}

const ignore = (): void => undefined;
