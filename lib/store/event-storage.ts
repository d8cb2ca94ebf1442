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
  /** Strictly after this version or position, or before it, backward; 0 starts at either end. */
  readonly after: number;
  /** The most events of the page; 0 asks only how far it goes. */
  readonly limit: number;
  readonly direction: ReadDirection;
  readonly manager?: EntityManager | undefined;
}

export interface LogRange extends AggregateRange {
  /** An event that the log has to hold for the page to continue it. */
  readonly mark?: LogMark | null | undefined;
  /** Stored names of event types. */
  readonly types?: readonly string[] | undefined;
  readonly aggregateTypes?: readonly string[] | undefined;
}

/** Where a history begins: after a version, or with the snapshot if it is of this revision. */
export type HistoryStart = { readonly after: number } | { readonly revision: number };

export interface StoredLogPage {
  /** The last position that can be read now. */
  readonly head: number;
  /** Where the next page begins: at the last event of a full page, at `head` where there is nothing more. */
  readonly reached: number;
  /** Nothing more was there when it was read. */
  readonly atEnd: boolean;
  /** The last event of the log up to `reached`; not of a page that was read backward. */
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
   * The event before `events`: at the version after which the read began, or at the aggregate's own if
   * that is lower; with a snapshot, at the snapshot's. `null` if there is none.
   */
  readonly base: { readonly id: string; readonly position: number } | null;
  /** The last snapshot, whatever its revision; `null` if the history begins after a version. */
  readonly snapshot: StoredSnapshot | null;
}

/** What a storage has that can let its calls join a transaction of the caller. */
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
 * Where an `EventStore` keeps its aggregates and events: it stores and reads, and the store decides.
 *
 * What it is given has been checked. A `manager` is one of its own transactions; without `transactions`
 * there never is one. It reports each append to the listener once it is known to have committed, those of
 * one aggregate in the order of versions.
 */
export interface EventStorage {
  /** Absent where nothing can join a transaction. */
  readonly transactions?: StorageTransactions;

  /**
   * Writes all appends of a call, in their order, or none.
   *
   * Calls for one aggregate are applied in the order in which they are made, also if the appends of one
   * of them are known later. An append whose event ids are stored already, all of them in this order
   * where its expectation lets them be, or whose key is, is answered by `repeated` and not written. The
   * events of a key are those with the ids `idAt(1)`, `idAt(2)` … up to the first that is not stored. A
   * repetition beside an append that is new is refused, unless each append with events has a key.
   *
   * An append without events is answered with the version of its aggregate, the position of its last event,
   * or 0 if there is none, and no records.
   *
   * @throws WrongExpectedVersionError if an expectation does not accept the version of its aggregate.
   * @throws DuplicateEventError if some ids are stored in any other way; the contract's tests say which
   * facts it has.
   */
  append(call: PreparedCall, manager?: EntityManager): Promise<readonly AppendResult[]>;

  /** Calls this from now on; there is one listener. */
  reportTo(listener: AppendListener): void;

  /**
   * Reads one page of the log, which ends at `limit`, at 4 MiB of events, or after any number of events that
   * the filter leaves out. Nothing before `reached` may become readable
   * later.
   *
   * @throws LogDivergedError if the log does not hold the event of `mark`.
   */
  readLog(range: LogRange): Promise<StoredLogPage>;

  /** Returns whether the log holds this event, or held it until it was removed. */
  holds(mark: LogMark): Promise<boolean>;

  horizon(manager?: EntityManager): Promise<LogHorizon>;

  /** Reads one page of an aggregate, which ends at `limit` or at 4 MiB of events. */
  readAggregate(aggregate: AggregateRef, range: AggregateRange): Promise<StoredAggregate>;

  /** Reads all events from there on at one moment, whatever they take. */
  readHistory(
    aggregate: AggregateRef,
    from: HistoryStart,
    manager?: EntityManager,
  ): Promise<StoredHistory>;

  readSnapshot(aggregate: AggregateRef, manager?: EntityManager): Promise<StoredSnapshot | null>;

  /**
   * Keeps the snapshot unless one of a later version is there, its events have been removed, or the
   * aggregate has not reached its version. Returns the aggregate's version.
   */
  writeSnapshot(
    aggregate: AggregateRef,
    snapshot: StoredSnapshot,
    manager?: EntityManager,
  ): Promise<number>;

  /** Deletes all events and the snapshot, keeps the version, and returns how many events there were. */
  removeEvents(aggregate: AggregateRef, manager?: EntityManager): Promise<number>;
}
