import type { AggregateRef } from '../store/aggregate-ref.ts';

/** What is stored of one event, held against what should be. */
export interface ChainedEvent {
  readonly position: number;
  readonly version: number;
  /** Whether only its hash is left, since `removeEvents` has removed it. */
  readonly isRemoved: boolean;
  /** `undefined` if the event belongs to no aggregate that there is. */
  readonly aggregate: (AggregateRef & AggregateVersions) | undefined;
  /** The version of the event before it in its aggregate, or of the last one removed; 0 for none. */
  readonly previousVersion: number;
  /** Whether the event before it in its aggregate has a hash. */
  readonly followsHash: boolean;
  readonly hash: Buffer | undefined;
  /** The hash of what is stored, after the hash that is stored of the event before it. */
  readonly expectedHash: Buffer | undefined;
}

export interface AggregateVersions {
  readonly version: number;
  /** Events up to this version have been removed. */
  readonly removedVersion: number;
}

/** What is stored of one snapshot, held against what should be. */
export interface ChainedSnapshot {
  readonly aggregate: AggregateRef;
  readonly version: number;
  readonly hash: Buffer | undefined;
  /** The hash of what is stored, with the hash that is stored of the event at its version. */
  readonly expectedHash: Buffer;
}

/** An object of the schema that is not what this release makes. */
export interface Alteration {
  /** What it is, and its name. */
  readonly object: string;
  readonly detail: string;
  /** Whether its rows cannot be read as those of the release. */
  readonly isUnreadable: boolean;
}

/** An aggregate that has no event for its last versions. */
export interface LostEnd {
  readonly aggregate: AggregateRef;
  readonly version: number;
  /** The last version that there is an event for, or that was removed. */
  readonly lastVersion: number;
}

/** The log while it is read. */
export interface ChainedLogReading {
  /** Every event after this position has a hash. */
  readonly start: number;
  /** Up to here, nothing will be added any more. */
  readonly horizon: number;
  /** The last position drawn, whether or not its event can be read yet. */
  readonly lastPosition: number;
  /** What of the schema was altered, found before anything of it is read. */
  readonly alterations: readonly Alteration[];
  /** In the order of positions, those removed among them; page by page. */
  events(after: number, upTo: number): AsyncIterable<ChainedEvent>;
  snapshots(): AsyncIterable<ChainedSnapshot>;
  lostEnds(limit: number): Promise<readonly LostEnd[]>;
}

/** Where the log and its hash chain are read. */
export abstract class ChainedLog {
  /**
   * Hands the log to some work, on a connection of its own. What is exclusive waits for other such work
   * on this log, of whatever process.
   *
   * @throws HashChainOffError if events are not hashed.
   */
  abstract read<T>(
    work: (reading: ChainedLogReading) => Promise<T>,
    options?: { readonly exclusive?: boolean },
  ): Promise<T>;
}
