import { runInDelivery } from './delivery.ts';
import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from '../store/event-store.ts';
import { isUnreadable } from '../store/unreadable-event.ts';
import type {
  CheckpointStore,
  Failure,
  HeldCheckpoint,
  ParkedEvent,
  Progress,
} from './checkpoint-store.ts';
import { type Consumer, isTransactional } from './consumer.ts';
import type { ConsumerStatus } from './consumer-status.ts';
import type { HeadPage, LogFilter, LogHead } from './log-head.ts';
import { isMarked, partitionOf } from './marks.ts';
import { RateMeter } from './rate-meter.ts';
import {
  HandlerCrashedError,
  HandlerTimeoutError,
  HistoryDivergedError,
  LeaseLostError,
} from './subscriptions.errors.ts';
import type { WakeUp } from './wake-up.ts';
import { within } from './within.ts';

/** What every runner of a process shares. */
export interface RunnerContext {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore;
  readonly head: LogHead;
  readonly wakeUp: WakeUp;
  readonly log: RunnerLog;
}

/** Told of what an operator should know. */
export interface RunnerLog {
  warn(message: string, error?: unknown): void;
  error(message: string, error?: unknown): void;
}

/**
 * Follows the log for one partition of a consumer, for as long as this process holds its checkpoint.
 *
 * A page of the log is read, handed over in slices, and each slice commits together with its
 * checkpoint. When a slice fails it is halved, until the event to blame stands alone: that one is
 * tried again, and then dealt with by the consumer's policy. Only the next page is read when one is
 * done, so a slow consumer reads slowly.
 *
 * Where it stands is known from the database only: after any doubt, a commit without an answer say,
 * `run` rejects, and whoever called it asks the database anew.
 */
export class Runner {
  readonly #consumer: Consumer;
  readonly #filter: LogFilter;
  readonly #context: RunnerContext;
  readonly #stopping = new AbortController();
  readonly #rate = new RateMeter();
  #held: HeldCheckpoint;
  /** Until then, by the clock of this process, nobody else can have taken the lease. */
  #heldUntil: number;
  #position: number;
  #savedPosition: number;
  #savedAt = 0;
  #savedStatus: ConsumerStatus = 'catching-up';
  #atEnd = false;
  /** How many events the next slice may have. */
  #sliceSize: number;
  #failures = 0;
  #failedPosition = 0;
  readonly #parked = new Set<string>();
  #retryParked: boolean;

  constructor(
    consumer: Consumer,
    filter: LogFilter,
    held: HeldCheckpoint,
    heldUntil: number,
    context: RunnerContext,
  ) {
    this.#consumer = consumer;
    this.#filter = filter;
    this.#context = context;
    this.#held = held;
    this.#heldUntil = heldUntil;
    this.#position = held.position;
    this.#savedPosition = held.position;
    this.#retryParked = held.retryParked;
    // After crashes one at a time, so that those before the event to blame are not lost with it.
    this.#sliceSize = held.takeovers >= carefulAfterTakeovers ? 1 : this.#largestSlice;
  }

  get held(): HeldCheckpoint {
    return this.#held;
  }

  /** Takes over what a renewal of the lease has brought. */
  renew(held: HeldCheckpoint, heldUntil: number): void {
    this.#held = { ...held, position: this.#held.position };
    this.#heldUntil = heldUntil;
    if (held.retryParked && !this.#retryParked) {
      this.#retryParked = true;
      this.#context.wakeUp.wake();
    }
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
    const { checkpoints, wakeUp } = this.#context;
    const { diverged, position, consumer } = this.#held;
    if (diverged) {
      const error = new HistoryDivergedError(consumer, position);
      await this.#giveUp({ error, position: null, failures: 1 });
      return;
    }
    await checkpoints.prepare(this.#held, this.#consumer);
    for (const aggregate of await checkpoints.parkedAggregates(this.#held)) {
      this.#parked.add(keyOf(aggregate));
    }
    while (!this.#stopping.signal.aborted) {
      const { tick } = wakeUp;
      await this.#tryParkedAgain();
      const bound = await this.#bound();
      const hadWork = await this.#handleNextPage(bound);
      if (this.#held.rebuild && (this.#atEnd || this.#position >= bound)) {
        if (await this.#takeOverUse()) return;
        if (!hadWork) await wakeUp.after(tick, settleMs, this.#stopping.signal);
      } else if (!hadWork) {
        await this.#saveIdle();
        const unsaved = this.#position > this.#savedPosition;
        await wakeUp.after(tick, unsaved ? settleMs : undefined, this.#stopping.signal);
      }
    }
    await this.#saveIdle(true);
  }

  /** A generation that is built goes no further than the one in use, so that no effect comes twice. */
  async #bound(): Promise<number> {
    if (!this.#held.rebuild) return Infinity;
    const inUse = await this.#context.checkpoints.markInUse(this.#consumer.name);
    return inUse ? Math.min(...inUse.positions) : Infinity;
  }

  /** Returns whether there was anything to do. */
  async #handleNextPage(bound: number): Promise<boolean> {
    if (this.#position >= bound) return false;
    const page = await this.#read(this.#consumer.settings.batchSize);
    if (!page) return true;
    const through = Math.min(page.position, bound);
    this.#atEnd = page.atEnd && page.position <= bound;
    const records = page.records.filter(
      (record) => record.position <= through && this.#isMine(record),
    );
    const before = this.#position;
    await this.#handle(records, through);
    // What was not handled for want of anything to handle: the checkpoint follows, but not each time.
    return records.length > 0 || (this.#position > before && !page.atEnd);
  }

  /** The next page, or nothing if an event that cannot be read had to be dealt with instead. */
  async #read(limit: number): Promise<HeadPage | undefined> {
    try {
      return await this.#context.head.read(this.#position, this.#filter, limit);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // A shorter page ends before it; the shortest is the event itself.
      if (limit > 1) return this.#read(Math.max(1, limit >> 1));
      if (await this.#settleFailure(error.position, error)) this.#position = error.position;
      return undefined;
    }
  }

  async #handle(records: readonly EventRecord[], through: number): Promise<void> {
    let rest = records;
    while (rest.length > 0 && !this.#stopping.signal.aborted) {
      const slice = this.#sliceOf(rest);
      const remaining = rest.slice(slice.length);
      const end = remaining.length === 0 ? through : slice.at(-1)!.position;
      try {
        await this.#deliver(slice, end);
        this.#sliceSize = Math.min(this.#largestSlice, this.#sliceSize * 2);
      } catch (error) {
        if (this.#isNoFaultOfTheEvents(error)) throw error;
        const cause = error instanceof HandlerFailure ? error.cause : error;
        if (severalPositions(slice)) {
          this.#sliceSize = Math.max(1, slice.length >> 1);
          continue;
        }
        if (!(await this.#settleFailure(end, cause, slice[0]))) continue;
      }
      this.#position = end;
      rest = remaining;
      await this.#throttle(slice.length);
    }
    if (records.length === 0) this.#position = Math.max(this.#position, through);
  }

  /** The first records of a page that are handed over together: all replayed, or all new. */
  #sliceOf(records: readonly EventRecord[]): readonly EventRecord[] {
    const isReplayed = this.#isReplayed(records[0]!);
    let length = 1;
    while (
      length < records.length &&
      this.#isReplayed(records[length]!) === isReplayed &&
      // The parts of one stored event stay together: a checkpoint cannot stand between them.
      (length < this.#sliceSize || records[length]!.position === records[length - 1]!.position)
    ) {
      length += 1;
    }
    return records.slice(0, length);
  }

  /** Hands records over and commits them, but for those of parked aggregates, which queue up there. */
  async #deliver(slice: readonly EventRecord[], end: number): Promise<void> {
    const { checkpoints } = this.#context;
    const { timeoutMs } = this.#consumer.settings;
    const due = slice.filter(({ aggregate }) => !this.#parked.has(keyOf(aggregate)));
    const followers = slice.filter(({ aggregate }) => this.#parked.has(keyOf(aggregate)));
    this.#refuseAfterCrashes(slice[0]!.position);
    if (isTransactional(this.#consumer) || followers.length > 0) {
      await checkpoints.transaction(this.#held, timeoutMs, async (transaction) => {
        if (due.length > 0) await this.#call(due, transaction.manager);
        if (followers.length > 0) await transaction.park(positionsOf(followers), null);
        return this.#progress(end, due.length);
      });
      this.#hasSaved(end);
    } else {
      for (const record of due) await this.#call([record], undefined);
      await this.#save(end, due.length);
    }
  }

  /** Calls the consumer, which may take so long and no longer. */
  async #call(
    records: readonly EventRecord[],
    manager: EntityManager | undefined,
    attempt = this.#failures + 1,
  ): Promise<void> {
    // A process that was frozen past its lease must not begin another effect: somebody else has.
    if (performance.now() >= this.#heldUntil) {
      throw new LeaseLostError(this.#consumer.name, this.#held.partition);
    }
    const { name, settings } = this.#consumer;
    const position = records[0]!.position;
    const delivery = {
      consumer: name,
      generation: this.#held.generation,
      replayed: this.#isReplayed(records[0]!),
      attempt,
    };
    try {
      await within(
        settings.timeoutMs,
        runInDelivery(delivery, () => this.#consumer.deliver(records, delivery, manager)),
        () => new HandlerTimeoutError(name, position, settings.timeoutMs),
      );
    } catch (error) {
      throw new HandlerFailure(error);
    }
  }

  /** Returns whether the event is done with; otherwise it is to be tried again, if at all. */
  async #settleFailure(position: number, error: unknown, record?: EventRecord): Promise<boolean> {
    const { settings, name } = this.#consumer;
    const { checkpoints, log } = this.#context;
    this.#failures = position === this.#failedPosition ? this.#failures + 1 : 1;
    this.#failedPosition = position;
    const failure: Failure = { error, position, failures: this.#failures };
    const crashed = error instanceof HandlerCrashedError;
    const delayMs = crashed ? undefined : settings.retry.delayMs(this.#failures);
    if (delayMs !== undefined) {
      await checkpoints.fail(this.#held, 'retrying', failure);
      this.#savedStatus = 'retrying';
      log.warn(
        `The consumer '${name}' failed at position ${position}; trying again in ${delayMs} ms.`,
        error,
      );
      await this.#pause(delayMs);
      return false;
    }
    if (settings.onFailure === 'stop') {
      await this.#giveUp(failure);
      return false;
    }
    if (settings.onFailure === 'skip') {
      log.error(`The consumer '${name}' skips the event at position ${position}.`, error);
      await this.#save(position, 0);
    } else {
      log.error(`The consumer '${name}' parks the event at position ${position}.`, error);
      await checkpoints.transaction(this.#held, settings.timeoutMs, async (transaction) => {
        await transaction.park([position], failure);
        return this.#progress(position, 0);
      });
      this.#hasSaved(position);
      if (record) this.#parked.add(keyOf(record.aggregate));
      else await this.#learnParked();
    }
    return true;
  }

  async #giveUp(failure: Failure): Promise<void> {
    const { checkpoints, log } = this.#context;
    await checkpoints.fail(this.#held, 'stopped', failure);
    log.error(
      `The consumer '${this.#consumer.name}' has stopped` +
        `${failure.position === null ? '' : ` at position ${failure.position}`}. When the cause is ` +
        `mended, call Consumers.start('${this.#consumer.name}') or restart the application.`,
      failure.error,
    );
    this.#savedPosition = this.#position;
    this.#stopping.abort();
  }

  async #tryParkedAgain(): Promise<void> {
    if (!this.#retryParked) return;
    this.#retryParked = false;
    const due = await this.#context.checkpoints.parkedToRetry(this.#held);
    const mine = due.filter(({ aggregate }) => this.#isInPartition(aggregate));
    for (const event of mine) await this.#tryAggregateAgain(event);
    this.#parked.clear();
    await this.#learnParked();
  }

  /** Hands over the parked events of one aggregate in order, until one fails or none is left. */
  async #tryAggregateAgain(first: ParkedEvent): Promise<void> {
    const { checkpoints, store, log } = this.#context;
    const { name, settings } = this.#consumer;
    let event: ParkedEvent | undefined = first;
    while (event && !this.#stopping.signal.aborted) {
      const { position, failures } = event;
      try {
        const { records } = await store.fetch(position - 1, { limit: 1 });
        const due = records.filter((record) => record.position === position);
        if (!isTransactional(this.#consumer)) {
          for (const record of due) await this.#call([record], undefined, failures + 1);
        }
        await checkpoints.transaction(this.#held, settings.timeoutMs, async (transaction) => {
          if (isTransactional(this.#consumer) && due.length > 0) {
            await this.#call(due, transaction.manager, failures + 1);
          }
          await transaction.unpark(position);
          return this.#progress(this.#position, due.length);
        });
        this.#hasSaved(this.#position);
      } catch (error) {
        if (this.#isNoFaultOfTheEvents(error)) throw error;
        const cause = error instanceof HandlerFailure ? error.cause : error;
        const failure = { error: cause, position, failures: failures + 1 };
        await checkpoints.keepParked(this.#held, event, failure);
        log.warn(`The consumer '${name}' failed again at the parked position ${position}.`, cause);
        return;
      }
      const { aggregate }: ParkedEvent = event;
      const due: readonly ParkedEvent[] = await checkpoints.parkedToRetry(this.#held);
      event = due.find((each) => keyOf(each.aggregate) === keyOf(aggregate));
    }
  }

  async #learnParked(): Promise<void> {
    for (const aggregate of await this.#context.checkpoints.parkedAggregates(this.#held)) {
      this.#parked.add(keyOf(aggregate));
    }
  }

  /** Tries to put this generation in use, in place of the former one. */
  async #takeOverUse(): Promise<boolean> {
    await this.#saveIdle(true);
    return this.#context.checkpoints.replace(this.#held, this.#consumer, (manager, through) =>
      this.#catchUp(manager, through),
    );
  }

  /** Applies the log up to `through` inside a transaction; the last positions may have to be waited for. */
  async #catchUp(manager: EntityManager, through: number): Promise<void> {
    const { store } = this.#context;
    const deadline = performance.now() + this.#consumer.settings.timeoutMs;
    while (this.#position < through) {
      const page = await store.fetch(this.#position, {
        types: this.#filter.storedTypes,
        manager,
      });
      const records = page.records.filter((record) => this.#isMine(record));
      if (records.length > 0) await this.#call(records, manager);
      if (page.position <= this.#position) {
        if (performance.now() > deadline)
          throw new Error('An append in flight holds back the log.');
        await this.#pause(settleMs);
      }
      this.#position = Math.max(this.#position, page.position);
    }
  }

  #isMine(record: EventRecord): boolean {
    return (
      this.#filter.prototypes.has(Object.getPrototypeOf(record.event) as object | null) &&
      (this.#filter.aggregateTypes?.has(record.aggregate.type) ?? true) &&
      this.#isInPartition(record.aggregate) &&
      !isMarked(record, this.#held.finished)
    );
  }

  #isInPartition(aggregate: EventRecord['aggregate']): boolean {
    return partitionOf(aggregate, this.#held.partitions) === this.#held.partition;
  }

  #isReplayed(record: EventRecord): boolean {
    return this.#held.rebuild !== null || isMarked(record, this.#held.replayed);
  }

  /** Whether it is the database or the lease that failed, so that the events are to come again. */
  #isNoFaultOfTheEvents(error: unknown): boolean {
    if (error instanceof HandlerFailure) return false;
    return error instanceof LeaseLostError || this.#context.checkpoints.isUnavailable(error);
  }

  #refuseAfterCrashes(position: number): void {
    const { takeovers, consumer } = this.#held;
    if (takeovers < blamedAfterTakeovers || position === this.#failedPosition) return;
    if (this.#position > this.#held.position) return;
    throw new HandlerFailure(new HandlerCrashedError(consumer, position, takeovers));
  }

  get #largestSlice(): number {
    return isTransactional(this.#consumer) ? this.#consumer.settings.batchSize : 1;
  }

  get #status(): ConsumerStatus {
    return this.#atEnd ? 'live' : 'catching-up';
  }

  #progress(position: number, handled: number): Progress {
    return { position, status: this.#status, eventsPerSecond: this.#rate.count(handled) };
  }

  async #save(position: number, handled: number): Promise<void> {
    const progress = this.#progress(position, handled);
    await this.#context.checkpoints.save(this.#held, progress);
    this.#hasSaved(position, progress.status);
  }

  #hasSaved(position: number, status = this.#status): void {
    this.#savedPosition = position;
    this.#savedStatus = status;
    this.#savedAt = performance.now();
    this.#failures = 0;
  }

  /** Saves what nothing had to be done for; not at every append that is none of its business. */
  async #saveIdle(now = false): Promise<void> {
    if (this.#position === this.#savedPosition && this.#status === this.#savedStatus) return;
    if (!now && performance.now() - this.#savedAt < settleMs) return;
    await this.#save(this.#position, 0);
  }

  async #throttle(events: number): Promise<void> {
    const most = this.#held.rebuild?.eventsPerSecond;
    if (most) await this.#pause((events / most) * 1_000);
  }

  /** Waits, but not when it is to stop. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}

/** How often idle progress is saved: what `waitFor` may lag behind for events that are not handled. */
const settleMs = 50;
const carefulAfterTakeovers = 5;
const blamedAfterTakeovers = 10;

/** What the consumer's own code threw, told apart from what went wrong around it. */
class HandlerFailure extends Error {
  constructor(override readonly cause: unknown) {
    super('The handler failed.');
  }
}

// References have no control characters, so two of them never share a key.
const keyOf = ({ type, id }: { type: string; id: string }): string => `${type}\n${id}`;

const positionsOf = (records: readonly EventRecord[]): number[] => [
  ...new Set(records.map((record) => record.position)),
];

const severalPositions = (records: readonly EventRecord[]): boolean =>
  records[0]!.position !== records.at(-1)!.position;
