import type { LogPlace } from '../../store/reading/log-place.ts';
import { isUnreadable } from '../../store/reading/unreadable-event.ts';
import type { HeadPage, LogHead } from './log-head.ts';
import type { LogFilter } from './selection.ts';

/** Reads the log for one runner page by page, and reads ahead while a page is being delivered. */
export class PageReader {
  readonly #head: LogHead;
  readonly #filter: LogFilter;
  readonly #batchSize: number;
  readonly #stopping: AbortSignal;
  /** The page that is read while the previous one is being delivered. */
  #ahead: { readonly after: number; readonly page: Promise<HeadPage> } | undefined;

  constructor(head: LogHead, filter: LogFilter, batchSize: number, stopping: AbortSignal) {
    this.#head = head;
    this.#filter = filter;
    this.#batchSize = batchSize;
    this.#stopping = stopping;
  }

  /** Returns the next page and, unless it is the last, begins to read the one after it. */
  async next(at: LogPlace): Promise<HeadPage> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const wasReadAhead = ahead?.after === at.position;
    const page = await (wasReadAhead ? ahead.page : this.#read(at, this.#batchSize));
    // A page that was read ahead may no longer be the last one.
    if (page.atEnd) return { ...page, atEnd: !wasReadAhead };
    if (!this.#stopping.aborted) {
      const next = this.#read(page, this.#batchSize);
      // It is thrown again where the read is awaited.
      next.catch(ignore);
      this.#ahead = { after: page.position, page: next };
    }
    return page;
  }

  /** Reads a page, or a shorter one that ends before an event that cannot be read. */
  async #read(after: LogPlace, limit: number): Promise<HeadPage> {
    try {
      return await this.#head.read(after, this.#filter, limit);
    } catch (error) {
      if (!isUnreadable(error) || limit === 1) throw error;
      return this.#read(after, limit >> 1);
    }
  }
}

const ignore = (): void => undefined;
