import type { EventRecord } from '../../events/event-record.ts';
import type { LogPlace } from './log-place.ts';

/** What a reader that continues page by page reads of the log. */
export interface LogReadOptions {
  /** The most stored events of a page. A page may have fewer, or none, without being the last. */
  readonly limit: number;
  /** Stored names of event types. @default all */
  readonly types?: readonly string[] | undefined;
  /** @default all */
  readonly aggregateTypes?: readonly string[] | undefined;
}

/** One step through the log. The next step continues at its place. */
export interface LogStep extends LogPlace {
  readonly records: readonly EventRecord[];
  /** Whether nothing followed when it was read. */
  readonly atEnd: boolean;
  /** The size of what was read, in bytes of stored payloads and metadata. */
  readonly bytes: number;
}

/** Reads the log in steps of bounded cost: by events, by bytes, and by positions that a filter skips. */
export interface LogReader {
  /**
   * Reads the next step after a place.
   *
   * @throws LogDivergedError if the log no longer holds the event at the place.
   */
  readOn(after: LogPlace, options: LogReadOptions): Promise<LogStep>;

  /** Returns the place of the last event that can be read now. */
  endOfLog(): Promise<LogPlace>;

  /** Returns whether the log still holds the event at a place. */
  holds(place: LogPlace): Promise<boolean>;
}
