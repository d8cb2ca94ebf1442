import type { EventRecord } from '../events/event-record.ts';
import type { EventStore, LogPage } from '../store/event-store.ts';
import { isUnreadable } from '../store/unreadable-event.ts';
import { type LogFilter, passes } from './selection.ts';
import type { WakeUp } from './wake-up.ts';

export interface HeadPage extends LogPage {
  /** Nothing more was there when it was read. */
  readonly atEnd: boolean;
}

/**
 * Reads the log for all consumers of a process: those at its end share one read of what is new.
 *
 * It keeps the last records that it has read at the end, whatever consumer they are for. A consumer
 * that stands further back reads for itself, with its filter in SQL.
 */
export class LogHead {
  readonly #store: EventStore;
  readonly #wakeUp: WakeUp;
  readonly #storedTypes: readonly string[];
  /** All records of the stored types with positions from above `#from` up to `#to`. */
  #records: EventRecord[] = [];
  #from = 0;
  #to = 0;
  /** Nothing more was there when the last of them were read. */
  #isComplete = false;
  #reading: { readonly tick: number; readonly done: Promise<boolean> } | undefined;

  constructor(store: EventStore, wakeUp: WakeUp, storedTypes: readonly string[]) {
    this.#store = store;
    this.#wakeUp = wakeUp;
    this.#storedTypes = storedTypes;
  }

  /** Returns the next page for a consumer that has finished everything up to `after`. */
  async read(after: number, filter: LogFilter, limit: number): Promise<HeadPage> {
    if (after === this.#to) {
      const atEnd = await this.#readOn().catch(leaveToOwnReads);
      if (atEnd && after === this.#to) return { position: after, records: [], atEnd };
    }
    if (after >= this.#from && after < this.#to) return this.#shared(after, filter, limit);
    return this.#own(after, filter, limit);
  }

  #shared(after: number, filter: LogFilter, limit: number): HeadPage {
    const records: EventRecord[] = [];
    for (let index = firstAfter(this.#records, after); index < this.#records.length; index++) {
      const record = this.#records[index]!;
      if (!passes(record, filter)) continue;
      // Parts of one stored event have one position and are never torn apart.
      if (records.length >= limit && records.at(-1)!.position !== record.position) {
        return { position: records.at(-1)!.position, records, atEnd: false };
      }
      records.push(record);
    }
    return { position: this.#to, records, atEnd: this.#isComplete };
  }

  async #own(after: number, filter: LogFilter, limit: number): Promise<HeadPage> {
    const { storedTypes, aggregateTypes } = filter;
    const page = await this.#store.fetch(after, {
      types: storedTypes,
      limit,
      ...(aggregateTypes && { aggregateTypes: [...aggregateTypes] }),
    });
    const atEnd = page.records.length < limit;
    if (atEnd && page.position > this.#to) {
      this.#from = page.position;
      this.#to = page.position;
      this.#records = [];
      this.#isComplete = true;
    }
    return {
      position: Math.max(after, page.position),
      records: page.records.filter((record) => passes(record, filter)),
      atEnd,
    };
  }

  /** Reads what stands behind the last record, once for all who ask at the same tick. */
  #readOn(): Promise<boolean> {
    const { tick } = this.#wakeUp;
    if (this.#reading?.tick === tick) return this.#reading.done;
    // A read that began before the last wake-up may have missed what it was about.
    const former = this.#reading?.done.catch(() => false) ?? Promise.resolve(false);
    const reading = { tick, done: former.then(() => this.#fetchNext()) };
    this.#reading = reading;
    // One that failed, or may have left something, is no answer for those who ask later.
    const forget = (): void => {
      if (this.#reading === reading) this.#reading = undefined;
    };
    reading.done.then((atEnd) => atEnd || forget(), forget);
    return reading.done;
  }

  /** Returns whether that was all there is. */
  async #fetchNext(): Promise<boolean> {
    const after = this.#to;
    const page = await this.#store.fetch(after, { types: this.#storedTypes, limit: pageSize });
    // Somebody who reads for himself may have gone further meanwhile.
    if (this.#to !== after) return false;
    // Not spread: upcasting may make more records of a page than a call may have arguments.
    for (const record of page.records) this.#records.push(record);
    this.#to = Math.max(after, page.position);
    this.#isComplete = page.records.length < pageSize;
    const surplus = this.#records.length - keptRecords;
    if (surplus > 0) {
      this.#from = this.#records[surplus - 1]!.position;
      this.#records = this.#records.slice(firstAfter(this.#records, this.#from));
    }
    return this.#isComplete;
  }
}

/** What one consumer cannot read must not keep the others from reading. */
function leaveToOwnReads(error: unknown): false {
  if (isUnreadable(error)) return false;
  throw error;
}

const pageSize = 1_000;
const keptRecords = 4_000;

/** The index of the first record behind a position, by bisection. */
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
