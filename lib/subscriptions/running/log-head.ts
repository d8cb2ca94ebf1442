import type { EventRecord } from '../../events/event-record.ts';
import { type LogPlace, markOf, startOfLog } from '../../store/reading/log-place.ts';
import type { LogReader } from '../../store/reading/log-reader.ts';
import { LogDivergedError } from '../../store/store.errors.ts';
import { isUnreadable } from '../../store/reading/unreadable-event.ts';
import type { LogFilter } from './selection.ts';
import type { WakeUp } from './wake-up.ts';

/** The next records for one consumer, and the place that it reaches with them. */
export interface HeadPage extends LogPlace {
  readonly records: readonly EventRecord[];
  /** Whether nothing followed when it was read. */
  readonly atEnd: boolean;
}

/** The records that one read has added to the kept ones. */
interface KeptPage {
  readonly end: number;
  readonly records: number;
  readonly bytes: number;
}

/**
 * Reads the log for all consumers of a process. Consumers at the end of the log share one read of what
 * is new.
 *
 * It keeps the last records that it has read at the end, for any consumer, up to a limit of records and
 * of bytes. A consumer that is further back reads for itself, with its filter in SQL.
 */
export class LogHead {
  readonly #log: LogReader;
  readonly #wakeUp: WakeUp;
  readonly #storedTypes: readonly string[];
  /** All records of the stored types with positions from above `#from` up to `#end`. */
  #records: EventRecord[] = [];
  #pages: KeptPage[] = [];
  #from = 0;
  #end = startOfLog;
  /** Whether nothing followed when the last of these records were read. */
  #isComplete = false;
  #reading: { readonly tick: number; readonly done: Promise<boolean> } | undefined;

  constructor(log: LogReader, wakeUp: WakeUp, storedTypes: readonly string[]) {
    this.#log = log;
    this.#wakeUp = wakeUp;
    this.#storedTypes = storedTypes;
  }

  /**
   * Returns the next page for a consumer that has finished everything up to `after`.
   *
   * @throws LogDivergedError if the log no longer holds the event with which `after` is marked.
   */
  async read(after: LogPlace, filter: LogFilter, limit: number): Promise<HeadPage> {
    const { position } = after;
    if (position === this.#end.position) {
      if (isOtherLog(after, this.#end)) this.forget();
      const atEnd = await this.#readOnce().catch(leaveToOwnReads);
      if (atEnd && position === this.#end.position) return { ...this.#end, records: [], atEnd };
    }
    if (position >= this.#from && position < this.#end.position) {
      return this.#shared(position, filter, limit);
    }
    return this.#own(after, filter, limit);
  }

  /**
   * Drops everything that was read, so that every consumer reads the log itself again.
   *
   * Call it whenever the log may have been replaced by another one, as in a failover: the kept records
   * are found by position, and may be events that are lost by now.
   */
  forget(): void {
    this.#records = [];
    this.#pages = [];
    this.#from = 0;
    this.#end = { ...startOfLog };
    this.#isComplete = false;
    this.#reading = undefined;
  }

  #shared(after: number, filter: LogFilter, limit: number): HeadPage {
    const records: EventRecord[] = [];
    for (let index = firstAfter(this.#records, after); index < this.#records.length; index++) {
      const record = this.#records[index]!;
      if (!filter.passes(record)) continue;
      const last = records.at(-1);
      // The parts of one stored event share a position and are never separated.
      if (last && records.length >= limit && last.position !== record.position) {
        return { position: last.position, mark: markOf(last), records, atEnd: false };
      }
      records.push(record);
    }
    return { ...this.#end, records, atEnd: this.#isComplete };
  }

  async #own(after: LogPlace, filter: LogFilter, limit: number): Promise<HeadPage> {
    const { storedTypes, aggregateTypes } = filter;
    const { position, mark, atEnd, records } = await this.#log.readOn(after, {
      types: storedTypes,
      limit,
      ...(aggregateTypes && { aggregateTypes }),
    });
    if (atEnd && position > this.#end.position) {
      this.#records = [];
      this.#pages = [];
      this.#from = position;
      this.#end = { position, mark };
      this.#isComplete = true;
    }
    return {
      ...(position < after.position ? after : { position, mark }),
      records: records.filter((record) => filter.passes(record)),
      atEnd,
    };
  }

  /** Reads what follows the last record, once for all consumers that ask in the same tick. */
  #readOnce(): Promise<boolean> {
    const { tick } = this.#wakeUp;
    if (this.#reading?.tick === tick) return this.#reading.done;
    // A read that began before the last wake-up may have missed the append that caused it.
    const former = this.#reading?.done.catch(() => false) ?? Promise.resolve(false);
    const reading = { tick, done: former.then(() => this.#fetchNext()) };
    this.#reading = reading;
    // A read that failed, or may have left events unread, does not answer a later question.
    const drop = (): void => {
      if (this.#reading === reading) this.#reading = undefined;
    };
    reading.done.then((atEnd) => atEnd || drop(), drop);
    return reading.done;
  }

  /** Returns whether that was everything. */
  async #fetchNext(): Promise<boolean> {
    const after = this.#end;
    const step = await this.#log
      .readOn(after, { types: this.#storedTypes, limit: pageSize })
      .catch((error: unknown) => {
        if (error instanceof LogDivergedError && this.#end === after) this.forget();
        throw error;
      });
    // Another consumer may have read further by itself meanwhile, or everything was forgotten.
    if (this.#end !== after) return false;
    const { position, mark, bytes, atEnd, records } = step;
    if (position > after.position) {
      // No spread: upcasting may make more records of a page than a call can take as arguments.
      for (const record of records) this.#records.push(record);
      this.#pages.push({ end: position, records: records.length, bytes });
      this.#end = { position, mark };
      this.#dropSurplus();
    }
    this.#isComplete = atEnd;
    return atEnd;
  }

  /** Keeps as many of the last pages as fit, so that memory does not depend on the size of events. */
  #dropSurplus(): void {
    let records = 0;
    let bytes = 0;
    const surplus = this.#pages.findLastIndex((page) => {
      records += page.records;
      bytes += page.bytes;
      return records > keptRecords || bytes > keptBytes;
    });
    const dropped = this.#pages.splice(0, surplus + 1);
    if (dropped.length === 0) return;
    this.#from = dropped.at(-1)!.end;
    this.#records = this.#records.slice(firstAfter(this.#records, this.#from));
  }
}

/**
 * An event that one consumer cannot read must not keep the others from reading. If the shared records
 * belong to another log, the consumer's own position may not: it finds out by its own mark.
 */
function leaveToOwnReads(error: unknown): false {
  if (isUnreadable(error) || error instanceof LogDivergedError) return false;
  throw error;
}

/** Returns whether two readers at the same position have read different logs. */
const isOtherLog = (one: LogPlace, other: LogPlace): boolean =>
  one.mark !== null && other.mark !== null && one.mark.id !== other.mark.id;

const pageSize = 1_000;
const keptRecords = 4_000;
const keptBytes = 8 * 1_048_576;

/** Returns the index of the first record after a position, by bisection. */
function firstAfter(records: readonly EventRecord[], position: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records[middle]!.position <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
