import { AsyncResource } from 'node:async_hooks';
import type { EventRecord } from '../events/event-record.ts';
import type { EventStore } from './event-store.ts';

export interface LogTailOptions {
  /** How long until appends of other processes are noticed. */
  readonly intervalMs: number;
  /** The types to follow, by their stored names; asked for at every read. */
  readonly types: () => readonly string[];
}

/**
 * Follows the log from a position on: every event once, in order, whichever process appended it.
 *
 * Reads when this process has appended, and else at every interval. An error is handed on and the
 * read tried again: nothing is left out.
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
    private readonly onRecords: (records: readonly EventRecord[]) => void,
    private readonly onError: (error: unknown) => void,
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
        const page = await this.store.fetch(this.#position, { types: this.options.types() });
        this.#position = Math.max(this.#position, page.position);
        if (page.records.length > 0) {
          this.#isStale = true;
          this.onRecords(page.records);
        }
      }
    } catch (error) {
      this.onError(error);
    }
  }
}
