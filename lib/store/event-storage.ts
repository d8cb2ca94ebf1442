import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../events/event-record.ts';
import type { StoredEvent } from '../events/event-serializer.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { AppendListener, AppendResult } from './appending/append.ts';
import type { PreparedCall } from './appending/prepare-append.ts';
import type { LogHorizon } from './reading/log-horizon.ts';
import type { LogMark } from './reading/log-place.ts';
import type { ReadDirection } from './reading/read-options.ts';
import type { StoredSnapshot } from './reading/revive-snapshot.ts';
import type { TransactionOptions } from './transaction-options.ts';

/** A page ends after 4 MiB of payloads and metadata, with the event that exceeds them. */
export const pageBytes = 4 * 1_048_576;

export interface AggregateRange {
  /**
   * Strictly after, or backward before, this version or position; 0 starts at the beginning or the end.
   */
  readonly after: number;
  /** The most events of the page; 0 reads only how far the page reaches. */
  readonly limit: number;
  readonly direction: ReadDirection;
  readonly manager?: EntityManager | undefined;
}

export interface LogRange extends AggregateRange {
  /** An event that the log must hold if the page is to continue it. */
  readonly mark?: LogMark | null | undefined;
  /** Stored names of event types. */
  readonly types?: readonly string[] | undefined;
  readonly aggregateTypes?: readonly string[] | undefined;
}

/** Where a history begins: after a version, or with the snapshot if it has this revision. */
export type HistoryStart = { readonly after: number } | { readonly revision: number };

export interface StoredLogPage {
  /** The last position that can be read now. */
  readonly head: number;
  /** Where the next page begins: at the last event of a full page, at `head` if nothing follows. */
  readonly reached: number;
  /** Whether nothing followed when the page was read. */
  readonly atEnd: boolean;
  /** The last event of the log up to `reached`; missing if the page was read backward. */
  readonly mark: LogMark | null;
  readonly events: readonly StoredEvent[];
}

export interface StoredAggregate {
  /** The aggregate's version; 0 if it is unknown. */
  readonly version: number;
  /** Events up to this version have been removed. */
  readonly removedVersion: number;
  readonly events: readonly StoredEvent[];
}

export interface StoredHistory extends StoredAggregate {
  /**
   * The event before `events`: at the version after which the read began, or at the aggregate's version
   * if that is lower; with a snapshot, at the snapshot's version. `null` if there is none.
   */
  readonly base: { readonly id: string; readonly position: number } | null;
  /** The last snapshot, whatever its revision; `null` if the history begins after a version. */
  readonly snapshot: StoredSnapshot | null;
}

/** The part of a storage whose calls can join a transaction of the caller. */
export interface StorageTransactions {
  /** See `EventStore.transaction`. */
  run<T>(
    work: (manager: EntityManager) => Promise<T>,
    options: Required<TransactionOptions>,
  ): Promise<T>;

  /** See `EventStore.onRollback`; `records` are those of the append. */
  onRollback(manager: EntityManager, records: readonly EventRecord[], undo: () => void): void;
}

/**
 * The port to where an `EventStore` keeps aggregates and events: a storage stores and reads, the store
 * decides.
 *
 * The store checks all arguments first. A `manager` belongs to a transaction of the storage; without
 * `transactions`, no call has one. The storage reports each append to the listener once it is known to
 * have committed, and those of one aggregate in the order of versions.
 */
export interface EventStorage {
  /** Absent if no call can join a transaction. */
  readonly transactions?: StorageTransactions;

  /**
   * Writes all appends of a call, in their order, or none.
   *
   * Calls for one aggregate are applied in the order in which they are made, even if the appends of a
   * call become known later. An append is a repetition if all its event ids are already stored, in this
   * order and where its expectation allows them, or if its key is already stored. A repetition is not
   * written; `repeated` makes its result. The events of a key are those with the ids `idAt(1)`,
   * `idAt(2)` … up to the first that is not stored. A repetition beside a new append is refused,
   * unless each append with events has a key.
   *
   * The result of an append without events has the version of its aggregate, the position of its last
   * event, or 0 if there is none, and no records.
   *
   * @throws WrongExpectedVersionError if an expectation does not accept the version of its aggregate.
   * @throws DuplicateEventError if some ids are stored in any other way; the contract's tests define
   * its facts.
   */
  append(call: PreparedCall, manager?: EntityManager): Promise<readonly AppendResult[]>;

  /** Sets the listener, which is called from now on; there is only one. */
  reportTo(listener: AppendListener): void;

  /**
   * Reads one page of the log. The page ends at `limit`, at 4 MiB of events, or after any number of
   * events that the filter skips. No event up to `reached` may become readable later.
   *
   * @throws LogDivergedError if the log does not hold the event of `mark`.
   */
  readLog(range: LogRange): Promise<StoredLogPage>;

  /** Returns whether the log holds this event, or held it until it was removed. */
  holds(mark: LogMark): Promise<boolean>;

  horizon(manager?: EntityManager): Promise<LogHorizon>;

  /** Reads one page of an aggregate, which ends at `limit` or at 4 MiB of events. */
  readAggregate(aggregate: AggregateRef, range: AggregateRange): Promise<StoredAggregate>;

  /** Reads all events from a start on at one moment, whatever their size. */
  readHistory(
    aggregate: AggregateRef,
    from: HistoryStart,
    manager?: EntityManager,
  ): Promise<StoredHistory>;

  readSnapshot(aggregate: AggregateRef, manager?: EntityManager): Promise<StoredSnapshot | null>;

  /**
   * Stores the snapshot, unless a later one exists, its events were removed, or the aggregate has not
   * reached its version. Returns the aggregate's version.
   */
  writeSnapshot(
    aggregate: AggregateRef,
    snapshot: StoredSnapshot,
    manager?: EntityManager,
  ): Promise<number>;

  /** Deletes all events and the snapshot, keeps the version, and returns how many events there were. */
  removeEvents(aggregate: AggregateRef, manager?: EntityManager): Promise<number>;
}
