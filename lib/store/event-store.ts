import type { LogHorizon } from './reading/log-horizon.ts';
import type { EntityManager } from 'typeorm';
import type { EventData } from '../events/event-data.ts';
import type { EventMetadata } from '../events/metadata/event-metadata.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { ExpectedVersion } from './appending/expected-version.ts';
import type { TransactionOptions } from './transaction-options.ts';
import {
  aggregateReadOptions,
  logReadOptions,
  type AggregateReadOptions,
  type ReadOptions,
} from './reading/read-options.ts';

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

export interface LogPage {
  /**
   * Where the next page begins: at the position of the last event read. A forward page that reached the
   * end of the log has the current position, so that a filtered reader advances, and so has an empty one.
   *
   * Only an empty page is certain to be the last one: a page ends early after large events.
   */
  readonly position: number;
  readonly records: readonly EventRecord[];
}

export interface AggregatePage {
  /**
   * Where the next page begins: at the version of the last event read. An empty page has the current
   * version, and only an empty page is certain to be the last one: a page ends early after large events.
   */
  readonly version: number;
  readonly records: readonly EventRecord[];
}

/** The folded state of one aggregate at one version. */
export interface Snapshot {
  readonly version: number;
  readonly state: object;
}

export interface SnapshotOptions {
  /** Which shape the state has; a snapshot of another revision counts as absent. @default 1 */
  readonly revision?: number;
  readonly manager?: EntityManager;
}

/** The last usable snapshot of an aggregate and the events after it, read at one moment. */
export interface AggregateHistory {
  /** The aggregate's version now; 0 if it never had an event. */
  readonly version: number;
  /** Position of the event at that version; 0 if there is none. */
  readonly position: number;
  /** Events up to this version have been removed; what was folded from them is no longer true. */
  readonly removedVersion: number;
  readonly snapshot: Snapshot | null;
  /** All events after the snapshot, or after `after`, in order. */
  readonly records: readonly EventRecord[];
}

export interface HistoryOptions extends SnapshotOptions {
  /** The version already known to the caller: with it, no snapshot is read, only what came later. */
  readonly after?: number;
}

/**
 * Called with the records of an append that is known to have committed.
 *
 * Appends come in the order in which this process learns of their commits: those of one aggregate in
 * the order of versions. One in a caller's transaction may come later than one to another aggregate
 * that was committed after it.
 */
export type AppendListener = (records: readonly EventRecord[]) => void;

/**
 * The injectable store repository: appends events to aggregates and reads them back.
 *
 * An append is all or nothing. Versions count the events of one aggregate without a gap; positions
 * order the whole log and may have gaps. Reading the log never skips an event that commits late.
 */
export abstract class EventStore {
  /**
   * Appends events to one aggregate: all of them, in order, at consecutive versions, or none.
   *
   * An empty list checks the expectation, writes nothing, and returns the current version. Events
   * whose ids are stored already are not written again: where the same events, in the same order,
   * follow one another in this aggregate, where the expectation allows them to be, the first result
   * comes back with `duplicate: true`. Events are the same if their types are, and their content as the
   * codec decodes it; metadata is not compared. Of events that were removed since then, no records
   * come back.
   *
   * @throws WrongExpectedVersionError if the aggregate is at another version; nothing is written.
   * @throws DuplicateEventError if an event's id is used already in any other way, or comes twice; it
   * says what is different, and up to which version the same events are stored.
   * @throws InvalidAggregateRefError if the aggregate's type or id cannot be stored exactly.
   * @throws AppendTooLargeError if there are more than `maxAppendEvents` events.
   * @throws TypeError if `expectedVersion` is neither one of the words nor a whole number from 0 up, or
   * if there is an option of another name.
   * @throws InvalidEventError if an event cannot be stored exactly; it names the path inside it.
   * @throws StoreOverloadedError if too many appends, or bytes, are waiting; nothing is written.
   */
  abstract append(
    aggregate: AggregateRef,
    events: readonly (object | EventData)[],
    options?: AppendOptions,
  ): Promise<AppendResult>;

  /**
   * Appends to several aggregates, each with its own expectation: all of it commits, or nothing.
   *
   * The appends are applied in the order of the list, and each aggregate may come more than once.
   * The results are in the same order. An event's id may come only once in the whole list, and
   * `maxAppendEvents` bounds the events of the whole list. Throws what `append` throws, for the first
   * append that cannot be taken.
   *
   * Where every append has an idempotency key, those whose key is stored already answer with their first
   * results, and the others are written together.
   */
  abstract appendAll(
    appends: readonly Append[],
    options?: { readonly manager?: EntityManager },
  ): Promise<readonly AppendResult[]>;

  /**
   * Reads the log strictly after a position, in the order of positions.
   *
   * An event whose transaction is still open, and everything after it, is left for a later call:
   * a reader that continues from the returned position sees every event exactly once.
   *
   * @throws TypeError if `after`, `limit` or `direction` is not one of the values they may have.
   */
  abstract fetch(after?: number, options?: ReadOptions): Promise<LogPage>;

  /**
   * Reads one aggregate strictly after a version, in the order of versions.
   *
   * An unknown aggregate is at version 0 and has no events. A page does not distinguish a removed
   * event from a missing one; `fetchHistory` does.
   *
   * @throws TypeError if `after`, `limit` or `direction` is not one of the values they may have.
   */
  abstract fetchByAggregate(
    aggregate: AggregateRef,
    after?: number,
    options?: AggregateReadOptions,
  ): Promise<AggregatePage>;

  /**
   * Reads the last usable snapshot of an aggregate and all events after it, in one round trip.
   *
   * A snapshot that cannot be read, is of another revision, or is ahead of the events is logged and
   * left out; the history then starts with the first event. With `after` no snapshot is read.
   *
   * @throws CorruptAggregateError if an event is missing in between.
   */
  abstract fetchHistory(
    aggregate: AggregateRef,
    options?: HistoryOptions,
  ): Promise<AggregateHistory>;

  /** Returns the last snapshot, or `null` if there is none that can be read at this revision. */
  abstract getSnapshot(
    aggregate: AggregateRef,
    options?: SnapshotOptions,
  ): Promise<Snapshot | null>;

  /**
   * Keeps `state` as the aggregate's only snapshot.
   *
   * An older version never replaces a newer one, and of one version the last one wins.
   *
   * @throws TypeError if `version` or `revision` is not a whole number from 1 up.
   * @throws SnapshotAheadError if the aggregate has not reached `version`.
   */
  abstract snapshot(
    aggregate: AggregateRef,
    state: object,
    version: number,
    options?: SnapshotOptions,
  ): Promise<void>;

  /** Returns the position up to which the log can be read now; 0 for an empty log. */
  abstract currentPosition(): Promise<number>;

  /** Returns how far the log can be read now, and which open transactions hold readers back. */
  abstract horizon(): Promise<LogHorizon>;

  /** Returns the version of the last event that the aggregate ever had; 0 if it never had one. */
  abstract currentVersion(aggregate: AggregateRef): Promise<number>;

  /**
   * Deletes every event and the snapshot of one aggregate and returns how many events there were.
   *
   * Its version stays: the next event continues the count, and no position is used again.
   *
   * @throws RemovalRefusedError unless the store was configured with `allowRemoval: true`.
   */
  abstract removeEvents(aggregate: AggregateRef): Promise<number>;

  /**
   * Calls `listener` after every commit of this process's appends; returns how to stop that.
   *
   * An append that wrote nothing is not reported. A listener that throws is logged: the append has
   * succeeded, and the other listeners are called.
   */
  abstract onAppended(listener: AppendListener): () => void;

  /**
   * Runs `work` in a transaction of its own and commits it; on a conflict, runs all of it again.
   *
   * Pass `manager` to every call that is to be part of the transaction, and load aggregates inside of
   * it, so that a repetition decides on what is stored then. Repeated are version conflicts,
   * serialization failures (40001) and deadlocks (40P01), after a short pause that grows with each
   * attempt. The work may run several times: keep effects outside the database out of it.
   *
   * @throws whatever `work` throws; the transaction is rolled back.
   * @throws WrongExpectedVersionError or TransactionConflictError when the retries are used up.
   * @throws ConnectionLostError with `outcome: 'unknown'` if the answer to the COMMIT was lost: the
   * transaction is not run again then, as it may have committed.
   * @throws NestedTransactionError inside an ambient transaction.
   */
  abstract transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T>;

  /**
   * Calls `undo` when an append that has joined the transaction of `manager` is rolled back, with the
   * transaction or with a savepoint; of several appends, the last one first.
   *
   * Also where the end of the transaction is not known: then the same events, with their ids, are found
   * to be stored if they are appended once more. A transaction that ends by plain SQL, or not at all, is
   * noticed when its connection goes back to the pool.
   */
  onRollback(_manager: EntityManager, _appended: AppendResult, _undo: () => void): void {
    // A store without transactions never rolls back.
  }

  /** Returns the manager whose open transaction a call would join: the one given, or the ambient one. */
  transactionOf(manager?: EntityManager): EntityManager | undefined {
    return manager;
  }

  /**
   * Reads the log page by page, so that memory does not grow with it; ends at its current end.
   *
   * @throws LogDivergedError if the log was exchanged for another one in between, as by a failover.
   */
  async *stream(after = 0, given: ReadOptions = {}): AsyncGenerator<EventRecord> {
    const options = logReadOptions.take(given);
    let page: LogPage = { position: after, records: [] };
    do {
      page = await this.fetch(page.position, options);
      // Not yield*, which takes twice as long.
      for (const record of page.records) yield record;
      // A page of large events is short, and not the last one.
    } while (page.records.length > 0);
  }

  /** Reads one aggregate page by page; ends at its current end. */
  async *streamByAggregate(
    aggregate: AggregateRef,
    after = 0,
    given: AggregateReadOptions = {},
  ): AsyncGenerator<EventRecord> {
    const options = aggregateReadOptions.take(given);
    let page: AggregatePage = { version: after, records: [] };
    do {
      page = await this.fetchByAggregate(aggregate, page.version, options);
      for (const record of page.records) yield record;
    } while (page.records.length > 0);
  }
}
