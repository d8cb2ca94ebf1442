import type { ExpectedVersion } from '../../../lib/store/appending/expected-version.ts';

/** An event of an attempt to append; `body` is its type and its payload. */
export interface IntendedEvent {
  readonly id: string;
  readonly body: string;
}

/** What was appended to one aggregate, and what the store has answered. */
export interface IntendedAppend {
  /** Type and id. */
  readonly aggregate: string;
  /** @default 'any' */
  readonly expectedVersion?: ExpectedVersion;
  readonly events: readonly IntendedEvent[];
  /** The aggregate's version after it, if the answer came. */
  readonly version?: number;
  /** The positions of its events, if the answer came. */
  readonly positions?: readonly number[];
}

/** The error of a failed append. */
export interface AttemptError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  /** Whether it is one of the errors that the store documents. */
  readonly isTyped: boolean;
  /** The version of the aggregate that a conflict reports. */
  readonly actualVersion?: number | undefined;
}

/**
 * One call, whose appends commit together or not at all. Times are of one clock for all processes.
 *
 * An attempt that was repeated with the same ids is two attempts.
 */
export interface Attempt {
  readonly by: string;
  readonly appends: readonly IntendedAppend[];
  readonly startedAt: number;
  /** Infinity if the caller ended before the answer. */
  readonly endedAt: number;
  readonly outcome: 'acknowledged' | 'refused' | 'unknown';
  readonly error?: AttemptError | undefined;
}

/** A page of the log that a tailing reader got. */
export interface ReadPage {
  readonly reader: string;
  readonly after: number;
  /** Where the next page begins. */
  readonly position: number;
  readonly events: readonly { readonly position: number; readonly id: string }[];
}

/** A version that was read between two moments. */
export interface VersionRead {
  readonly aggregate: string;
  readonly version: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** An event of the log at the end of the run. */
export interface StoredEventRow extends IntendedEvent {
  readonly position: number;
  readonly aggregate: string;
  readonly version: number;
}

/** All that was tried, answered and read, and the resulting log. */
export interface History {
  readonly attempts: readonly Attempt[];
  /** The pages of each reader in the order in which it read them. */
  readonly pages: readonly ReadPage[];
  readonly versionReads: readonly VersionRead[];
  /** In the order of positions. */
  readonly log: readonly StoredEventRow[];
}

/** Something in a history that must never happen. */
export interface HistoryFinding {
  readonly kind: string;
  readonly detail: string;
}
