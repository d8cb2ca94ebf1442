import type { EntityManager } from 'typeorm';
import type { EventData } from '../../events/event-data.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { EventMetadata } from '../../events/metadata/event-metadata.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { ExpectedVersion } from './expected-version.ts';

export interface AppendOptions {
  /** @default 'any' */
  readonly expectedVersion?: ExpectedVersion;
  /** Metadata for every event of the append, over what `runWithMetadata` supplies. */
  readonly metadata?: EventMetadata;
  /**
   * Stores the events once, however often they are appended with this key to this aggregate, in any
   * process: if an append with the key is stored, nothing is written, and its result comes back with
   * `duplicate: true`, whatever events and expectation are given now. The events get ids that derive
   * from the key, and must have none of their own.
   */
  readonly idempotencyKey?: string | undefined;
  /** Appends inside this manager's open transaction: the events commit or roll back with it. */
  readonly manager?: EntityManager;
}

/** One append among several that commit together; see `EventStore.appendAll`. */
export interface Append {
  readonly aggregate: AggregateRef;
  readonly events: readonly (object | EventData)[];
  /** @default 'any' */
  readonly expectedVersion?: ExpectedVersion;
  readonly metadata?: EventMetadata;
  /** As in `AppendOptions`. */
  readonly idempotencyKey?: string | undefined;
}

export interface AppendResult {
  /** The aggregate's version after the append. */
  readonly version: number;
  /**
   * Position of the append's last event. Of an empty append it is that of the aggregate's last event, or 0
   * if the aggregate has none: what has come so far has seen the aggregate at this version.
   */
  readonly position: number;
  /**
   * The records, in order: with the instances that were appended, or, of a duplicate, as read. An instance
   * that belongs to an earlier record is read again, so that `recordOf` returns one record for each. Of a
   * duplicate whose events have been removed, there are none.
   */
  readonly records: readonly EventRecord[];
  /** True if the same events, by their ids, had been appended before and nothing was written now. */
  readonly duplicate: boolean;
}

/**
 * Called with the records of an append that is known to have committed.
 *
 * Appends come in the order in which this process learns of their commits: those of one aggregate in
 * the order of versions. One in a caller's transaction may come later than one to another aggregate
 * that was committed after it.
 */
export type AppendListener = (records: readonly EventRecord[]) => void;
