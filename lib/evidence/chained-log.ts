import type { AggregateRef } from '../store/aggregate-ref.ts';

/** A stored event, together with what is expected of it. */
export interface ChainedEvent {
  readonly position: number;
  readonly version: number;
  /** Whether `removeEvents` has removed the event and left only its hash. */
  readonly isRemoved: boolean;
  /** The event's aggregate; `undefined` if there is no row for it. */
  readonly aggregate: (AggregateRef & AggregateVersions) | undefined;
  /** The version of the previous event of the aggregate, or of the last removed one; 0 for none. */
  readonly previousVersion: number;
  /** Whether the previous event of the aggregate has a hash. */
  readonly followsHash: boolean;
  readonly hash: Buffer | undefined;
  /** The hash of the stored content, computed with the stored hash of the previous event. */
  readonly expectedHash: Buffer | undefined;
}

export interface AggregateVersions {
  readonly version: number;
  /** Events up to this version have been removed. */
  readonly removedVersion: number;
}

/** A stored snapshot, together with the hash that is expected of it. */
export interface ChainedSnapshot {
  readonly aggregate: AggregateRef;
  readonly version: number;
  readonly hash: Buffer | undefined;
  /** The hash of the stored content, computed with the stored hash of the event at its version. */
  readonly expectedHash: Buffer;
}

/** An object of the schema that differs from what this release creates. */
export interface Alteration {
  /** The kind and the name of the object. */
  readonly object: string;
  readonly detail: string;
  /** Whether the rows of the object cannot be read as this release stores them. */
  readonly isUnreadable: boolean;
}

/** An aggregate whose last versions have no events. */
export interface LostEnd {
  readonly aggregate: AggregateRef;
  readonly version: number;
  /** The last version that has an event or was removed. */
  readonly lastVersion: number;
}

/** The log, as a verification reads it. */
export interface ChainedLogReading {
  /** Every event after this position has a hash. */
  readonly start: number;
  /** The position up to which no event can be added any more. */
  readonly horizon: number;
  /** The last position drawn, whether or not its event can be read yet. */
  readonly lastPosition: number;
  /** The objects of the schema that were altered, found before any row is read. */
  readonly alterations: readonly Alteration[];
  /** Returns the events in the order of positions, including the removed ones, page by page. */
  events(after: number, upTo: number): AsyncIterable<ChainedEvent>;
  snapshots(): AsyncIterable<ChainedSnapshot>;
  lostEnds(limit: number): Promise<readonly LostEnd[]>;
}

/** Reads the log and its hash chain. */
export abstract class ChainedLog {
  /**
   * Runs some work on the log, on a connection of its own. Exclusive work waits for other exclusive
   * work on this log, in any process.
   * @throws HashChainOffError if events are not hashed.
   */
  abstract read<T>(
    work: (reading: ChainedLogReading) => Promise<T>,
    options?: { readonly exclusive?: boolean },
  ): Promise<T>;
}
