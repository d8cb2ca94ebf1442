import type { EventRecord } from '../../events/event-record.ts';
import type { LogPlace } from './log-place.ts';

/** What a reader that continues page by page wants to see of the log. */
export interface LogReadOptions {
  /** At most this many stored events. A page may have fewer, or none, and not be the last one. */
  readonly limit: number;
  /** Stored names of event types. @default all */
  readonly types?: readonly string[] | undefined;
  /** @default all */
  readonly aggregateTypes?: readonly string[] | undefined;
}

/** One step through the log. The next one continues at its place. */
export interface LogStep extends LogPlace {
  readonly records: readonly EventRecord[];
  /** There was nothing after it when it was read. */
  readonly atEnd: boolean;
  /** How much was read, in bytes of stored payloads and metadata. */
  readonly bytes: number;
}

/** Reads the log in steps of bounded cost: by events, by bytes, and by what a filter passes over. */
export interface LogReader {
  /**
   * Reads on after a place.
   *
   * @throws LogDivergedError if the log no longer holds the event that the place was left at.
   */
  readOn(after: LogPlace, options: LogReadOptions): Promise<LogStep>;

  /** Returns the place of the last event that can be read now. */
  endOfLog(): Promise<LogPlace>;

  /** Returns whether the log still holds what was read up to a place. */
  holds(place: LogPlace): Promise<boolean>;
}
