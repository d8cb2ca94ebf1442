import { AsyncResource } from 'node:async_hooks';
import {
  UndecodableEventError,
  UnknownEventTypeError,
  UpcastError,
} from '../events/events.errors.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from './event-store.ts';

export interface LogTailOptions {
  /** How long until appends of other processes are noticed. */
  readonly intervalMs: number;
  /** The types to follow, by their stored names; asked for at every read. */
  readonly types: () => readonly string[];
}

/** Who is told what comes of following the log. */
export interface LogTailHandlers {
  readonly onRecords: (records: readonly EventRecord[]) => void;
  /** An event cannot be read; it is left out. */
  readonly onUnreadable: (error: UnreadableEventError) => void;
  /** The log cannot be read now; the read is tried again. */
  readonly onError: (error: unknown) => void;
}

/** An error about one stored event, which names its position. */
export type UnreadableEventError = UnknownEventTypeError | UpcastError | UndecodableEventError;

/**
 * Follows the log from a position on: every event once, in order, whichever process appended it.
 *
 * Reads when this process has appended, and else at every interval. What cannot be read is told and
 * left out, so that it does not hold up what stands behind it.
 */
export class LogTail {
  #position = 0;
  #stopped = false;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly options: LogTailOptions,
    private readonly handlers: LogTailHandlers,
  ) {}

  /** Starts strictly after `position`. */
  start(position: number): void {
    this.#position = position;
    // Whoever happens to append has a context of its own: a transaction, metadata. None of it may
    // reach the events of others.
    const wake = AsyncResource.bind(() => this.#wake());
    this.#unsubscribe = this.store.onAppended(wake);
    this.#timer = setInterval(wake, this.options.intervalMs);
  }

  /** Resolves once nothing is being read any more. */
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
        const records = await this.#nextRecords();
        if (records.length > 0) {
          this.#isStale = true;
          this.handlers.onRecords(records);
        }
      }
    } catch (error) {
      this.handlers.onError(error);
    }
  }

  /** The next page; a shorter one, if need be, to end before an event that cannot be read. */
  async #nextRecords(): Promise<readonly EventRecord[]> {
    let limit = pageSize;
    for (;;) {
      try {
        const types = this.options.types();
        const page = await this.store.fetch(this.#position, { types, limit });
        this.#position = Math.max(this.#position, page.position);
        return page.records;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        if (limit === 1) {
          this.handlers.onUnreadable(error);
          this.#position = error.position;
        }
        limit = Math.max(1, limit >> 1);
      }
    }
  }
}

const pageSize = 1_000;

function isUnreadable(error: unknown): error is UnreadableEventError {
  return (
    error instanceof UnknownEventTypeError ||
    error instanceof UpcastError ||
    error instanceof UndecodableEventError
  );
}
