import type { EntityManager } from 'typeorm';
import type { EventData } from '../../events/event-data.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { EventMetadata } from '../../events/metadata/event-metadata.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { ExpectedVersion } from './expected-version.ts';

export interface AppendOptions {
  /** The version that the aggregate must have. @default 'any' */
  readonly expectedVersion?: ExpectedVersion;
  /** Metadata for every event of the append; it wins over the metadata of `runWithMetadata`. */
  readonly metadata?: EventMetadata;
  /**
   * Stores the events only once for this key and aggregate, in any process. If an append with the key
   * is already stored, nothing is written, and the result of that append is returned with
   * `duplicate: true`, whatever events and expectation are given now. The events get ids
   * that derive from the key, and must have no ids of their own.
   */
  readonly idempotencyKey?: string | undefined;
  /** Appends inside this manager's open transaction: the events commit or roll back with it. */
  readonly manager?: EntityManager;
}

/** One of several appends that commit together; see `EventStore.appendAll`. */
export interface Append {
  readonly aggregate: AggregateRef;
  readonly events: readonly (object | EventData)[];
  /** The version that the aggregate must have. @default 'any' */
  readonly expectedVersion?: ExpectedVersion;
  readonly metadata?: EventMetadata;
  /** As in `AppendOptions`. */
  readonly idempotencyKey?: string | undefined;
}

export interface AppendResult {
  /** The aggregate's version after the append. */
  readonly version: number;
  /**
   * The position of the append's last event. For an empty append, it is that of the aggregate's last
   * event, or 0 if the aggregate has none: a reader that has reached it has seen the aggregate at this
   * version.
   */
  readonly position: number;
  /**
   * The records, in order, with the instances that were appended; those of a duplicate are read from
   * the store. An instance that already belongs to a record is read as a new one, so that `recordOf`
   * returns one record for each instance. A duplicate whose events were removed has no records.
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
