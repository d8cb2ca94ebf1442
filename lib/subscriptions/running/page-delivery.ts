import type { EventRecord } from '../../events/event-record.ts';
import { type LogPlace, markOf, placeOf } from '../../store/reading/log-place.ts';
import {
  isUnreadable,
  placeAfter,
  type UnreadableEventError,
} from '../../store/reading/unreadable-event.ts';
import { isTransactional } from '../consumer.ts';
import { HandlerFailure } from '../delivery/handler-failure.ts';
import { HandlerCrashedError } from '../subscriptions.errors.ts';
import { deliver, type Deliverer } from './deliver-slice.ts';
import type { FailureHandling } from './failure-handling.ts';
import type { HeadPage, LogHead } from './log-head.ts';
import { PageReader } from './page-reader.ts';
import type { ParkedRetry } from './parked-retry.ts';
import { isDue, isLeftFor, isReplayed, type LogFilter } from './selection.ts';
import { sleep } from '../../input/sleep.ts';

/** The parts that the delivery of the log, page by page, needs. */
export interface PageDeliveryParts extends Deliverer {
  readonly head: LogHead;
  readonly filter: LogFilter;
  readonly failures: FailureHandling;
  readonly parkedRetry: ParkedRetry;
}

/**
 * After this many lost owners in a row, events are delivered one at a time, to find the one that causes
 * it.
 */
const carefulAfterTakeovers = 5;
/** After this many lost owners in a row, the first event is blamed. */
const blamedAfterTakeovers = 10;

/**
 * Delivers the log page by page. The records of a page are delivered in slices, each of which commits
 * together with its checkpoint.
 *
 * A slice that fails is halved until the failing event is alone. That event is tried again, and then
 * handled by the consumer's policy.
 */
export class PageDelivery {
  readonly #parts: PageDeliveryParts;
  readonly #pages: PageReader;
  readonly #stopping: AbortSignal;
  /** The most events of the next slice. */
  #sliceSize: number;

  constructor(parts: PageDeliveryParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
    const { head, filter, consumer, cursor } = parts;
    this.#pages = new PageReader(head, filter, consumer.settings.batchSize, stopping);
    const { takeovers } = cursor.held;
    this.#sliceSize = takeovers >= carefulAfterTakeovers ? 1 : this.#largestSlice;
  }

  /** Handles the next page, but nothing after `bound`; returns whether there may be more to do. */
  async handleNext(bound: number): Promise<'busy' | 'idle' | 'stopped'> {
    const { cursor, filter } = this.#parts;
    let page: HeadPage;
    try {
      page = await this.#pages.next(cursor.at);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return this.#leaveUnreadable(error);
    }
    const through = this.#throughOf(page, bound);
    cursor.atEnd = page.atEnd && page.position <= bound;
    const records = page.records.filter(
      (record) => record.position <= through.position && isDue(record, filter, cursor.held),
    );
    if (records.length === 0) {
      // A shared page may be older than the last wake-up; the next read then begins at its end.
      const isAtEnd = page.atEnd && cursor.position === through.position;
      cursor.at = through;
      if (isAtEnd) return 'idle';
      // Skipped positions need not be read again after an interruption.
      await cursor.saveIdle();
      return 'busy';
    }
    return (await this.#handle(records, through)) ? 'busy' : 'stopped';
  }

  /** Returns the end of a page, or the bound if that comes first, with the last known event up to it. */
  #throughOf(page: HeadPage, bound: number): LogPlace {
    const { position, mark } = page;
    if (position <= bound) return { position, mark };
    const last = page.records.findLast((record) => record.position <= bound);
    return { position: bound, mark: last ? markOf(last) : this.#parts.cursor.at.mark };
  }

  async #leaveUnreadable(error: UnreadableEventError): Promise<'busy' | 'stopped'> {
    const { cursor, failures } = this.#parts;
    const at = placeAfter(error);
    const settlement = isLeftFor(error, cursor.held)
      ? await failures.settle(at, error, this.#stopping)
      : 'done';
    if (settlement === 'done') cursor.at = at;
    return settlement === 'stopped' ? 'stopped' : 'busy';
  }

  /** Delivers records and finishes all up to `through`; returns false if the consumer has stopped. */
  async #handle(records: readonly EventRecord[], through: LogPlace): Promise<boolean> {
    const { cursor, failures, parkedRetry } = this.#parts;
    let rest = records;
    while (rest.length > 0 && !this.#stopping.aborted) {
      const slice = this.#sliceOf(rest);
      const remaining = rest.slice(slice.length);
      const { position } = slice[0]!;
      const end = remaining.length === 0 ? through : placeOf(slice.at(-1)!);
      try {
        this.#refuseAfterCrashes(position);
        await deliver(this.#parts, slice, end, failures.attemptAt(position));
        this.#sliceSize = Math.min(this.#largestSlice, this.#sliceSize * 2);
      } catch (error) {
        const { checkpoints } = this.#parts;
        // A batch that took too long for the database would take too long again.
        const isTooLong = checkpoints.isTimeLimit(error);
        if (!isTooLong && checkpoints.isInterruption(error)) throw error;
        const cause = error instanceof HandlerFailure ? error.cause : error;
        if (position !== slice.at(-1)!.position) {
          this.#sliceSize = slice.length >> 1;
          if (isTooLong) await failures.noteTimeLimit(placeOf(slice[0]!), cause);
          continue;
        }
        const settlement = await failures.settle(placeOf(slice[0]!), cause, this.#stopping);
        if (settlement === 'stopped') return false;
        if (settlement === 'again') continue;
      }
      cursor.at = end;
      rest = remaining;
      await this.#throttle(slice.length);
      // Retries and new events take turns, so that neither has to wait for all of the others.
      if (rest.length > 0 && !this.#stopping.aborted) await parkedRetry.next();
    }
    return true;
  }

  /** Returns the first records to deliver together: all of them replayed, or all of them new. */
  #sliceOf(records: readonly EventRecord[]): readonly EventRecord[] {
    const { held } = this.#parts.cursor;
    const replayed = isReplayed(records[0]!, held);
    let length = 1;
    while (
      length < records.length &&
      isReplayed(records[length]!, held) === replayed &&
      // The parts of one stored event stay together, because a checkpoint cannot separate them.
      (length < this.#sliceSize || records[length]!.position === records[length - 1]!.position)
    ) {
      length += 1;
    }
    return records.slice(0, length);
  }

  get #largestSlice(): number {
    const { consumer } = this.#parts;
    return isTransactional(consumer) ? consumer.settings.batchSize : 1;
  }

  /** @throws HandlerFailure if the event at this position has ended every process that tried it. */
  #refuseAfterCrashes(position: number): void {
    const { cursor } = this.#parts;
    const { takeovers, consumer } = cursor.held;
    if (takeovers < blamedAfterTakeovers || cursor.hasMoved) return;
    throw new HandlerFailure(new HandlerCrashedError(consumer, position, takeovers));
  }

  async #throttle(events: number): Promise<void> {
    const most = this.#parts.cursor.held.rebuild?.eventsPerSecond;
    if (most) await sleep((events / most) * 1_000, this.#stopping);
  }
}
