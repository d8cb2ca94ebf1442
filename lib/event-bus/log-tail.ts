import { AsyncResource } from 'node:async_hooks';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from '../store/event-store.ts';
import {
  type LogMark,
  type LogPlace,
  markOf,
  placeOf,
  startOfLog,
} from '../store/reading/log-place.ts';
import type { LogStep } from '../store/reading/log-reader.ts';
import { LogDivergedError } from '../store/store.errors.ts';
import {
  isUnreadable,
  placeAfter,
  type UnreadableEventError,
} from '../store/reading/unreadable-event.ts';

export interface LogTailOptions {
  /** How often to look for appends of other processes, in milliseconds. */
  readonly intervalMs: number;
  /** Returns the types to follow, by their stored names; called at every read. */
  readonly types: () => readonly string[];
}

/** The callbacks of a log tail. */
export interface LogTailHandlers {
  readonly onRecords: (records: readonly EventRecord[]) => void;
  /** An event cannot be read; the tail skips it. */
  readonly onUnreadable: (error: UnreadableEventError) => void;
  /** The log cannot be read now; the read is tried again. Called once per outage. */
  readonly onError: (error: unknown) => void;
  /**
   * The log was replaced by another; the tail continues after `position`, up to which both are equal.
   */
  readonly onDiverged: (error: LogDivergedError, position: number) => void;
}

/**
 * Follows the log from a place: delivers every event once, in order, whichever process appended it.
 *
 * It reads when this process has appended, and otherwise at every interval. An event that cannot be
 * read is reported and skipped, so that it does not hold up later events. If the log was replaced by
 * one that has lost events, the tail continues after the last event that both have, as far as it
 * remembers them.
 */
export class LogTail {
  #at = startOfLog;
  /** The last events that were passed, oldest first. */
  readonly #passed: LogMark[] = [];
  #stopped = false;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly options: LogTailOptions,
    private readonly handlers: LogTailHandlers,
  ) {}

  /** Starts strictly after `place`. */
  start(place: LogPlace): void {
    this.#moveTo(place);
    // The caller that triggers the wake-up has a context of its own: a transaction, metadata. None of
    // that context may reach the events of other callers.
    const wake = AsyncResource.bind(() => this.#wake());
    this.#unsubscribe = this.store.onAppended(wake);
    this.#timer = setInterval(wake, this.options.intervalMs);
  }

  /** Resolves once no read is running any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe?.();
    clearInterval(this.#timer);
    await this.#reading;
  }

  #wake(): void {
    this.#isStale = true;
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
  }

  async #read(): Promise<void> {
    try {
      while (this.#isStale && !this.#stopped) {
        this.#isStale = false;
        const { records, atEnd } = await this.#nextStep();
        this.#isFailing = false;
        if (!atEnd) this.#isStale = true;
        if (records.length > 0) this.handlers.onRecords(records);
      }
    } catch (error) {
      if (!this.#isFailing) this.handlers.onError(error);
      this.#isFailing = true;
    }
  }

  /** Reads the next page, or a shorter one that ends before an event that cannot be read. */
  async #nextStep(): Promise<LogStep> {
    let limit = pageSize;
    for (;;) {
      try {
        const step = await this.store.log.readOn(this.#at, { types: this.options.types(), limit });
        for (const record of step.records) this.#remember(markOf(record));
        if (step.position > this.#at.position) this.#moveTo(step);
        return step;
      } catch (error) {
        if (error instanceof LogDivergedError) {
          await this.#returnToCommonPart(error);
        } else if (!isUnreadable(error)) {
          throw error;
        } else if (limit === 1) {
          this.handlers.onUnreadable(error);
          this.#moveTo(placeAfter(error));
        }
        limit = Math.max(1, limit >> 1);
      }
    }
  }

  #moveTo({ position, mark }: LogPlace): void {
    this.#at = { position, mark };
    if (mark) this.#remember(mark);
  }

  #remember(mark: LogMark): void {
    if (mark.position <= (this.#passed.at(-1)?.position ?? 0)) return;
    this.#passed.push(mark);
    if (this.#passed.length >= 2 * rememberedEvents) this.#passed.splice(0, rememberedEvents);
  }

  /** Two logs are equal up to some event and share none after it, so bisection finds that event. */
  async #returnToCommonPart(error: LogDivergedError): Promise<void> {
    const passed = this.#passed;
    let [held, lost] = [0, passed.length];
    while (held < lost) {
      const middle = (held + lost) >> 1;
      const mark = passed[middle]!;
      if (await this.store.log.holds({ position: mark.position, mark })) held = middle + 1;
      else lost = middle;
    }
    const oldest = passed[0];
    passed.splice(held);
    const last = passed.at(-1);
    if (last) {
      this.#at = placeOf(last);
    } else {
      // The logs part further back than the tail remembers. What it has published must not be repeated.
      const end = await this.store.log.endOfLog();
      const isBehind = oldest !== undefined && oldest.position < end.position;
      this.#at = isBehind ? { position: oldest.position, mark: null } : end;
    }
    this.handlers.onDiverged(error, this.#at.position);
  }
}

const pageSize = 1_000;
const rememberedEvents = 1_000;
