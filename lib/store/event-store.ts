import type { EntityManager } from 'typeorm';
import type { EventData } from '../events/event-data.ts';
import type { EventRecord } from '../events/event-record.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import type { Append, AppendListener, AppendOptions, AppendResult } from './appending/append.ts';
import { AppendListeners } from './appending/append-listeners.ts';
import {
  appendAllOptions,
  appendOptions,
  checkAppends,
  prepareAppends,
} from './appending/prepare-append.ts';
import { noteAppended } from './appending/track-appends.ts';
import { checkAggregateRef } from './check-aggregate-ref.ts';
import type { EventStorage } from './event-storage.ts';
import type {
  AggregateHistory,
  HistoryOptions,
  Snapshot,
  SnapshotOptions,
} from './reading/aggregate-history.ts';
import { AggregateReading } from './reading/aggregate-reading.ts';
import type { LogHorizon } from './reading/log-horizon.ts';
import type { LogReader } from './reading/log-reader.ts';
import { LogReading } from './reading/log-reading.ts';
import type { AggregatePage, LogPage } from './reading/pages.ts';
import type { AggregateReadOptions, ReadOptions } from './reading/read-options.ts';
import {
  NestedTransactionError,
  RemovalRefusedError,
  UnsupportedFeatureError,
} from './store.errors.ts';
import {
  type StoreOptions,
  type StoreParts,
  storeParts,
  type StoreSurroundings,
} from './store-options.ts';
import { checkTransaction, type TransactionOptions } from './transaction-options.ts';

/**
 * The injectable store repository: appends events to aggregates and reads them back.
 *
 * An append is all or nothing. Versions count the events of one aggregate without a gap; positions
 * order the whole log and may have gaps. Reading the log never skips an event that commits late.
 */
export class EventStore {
  readonly #storage: EventStorage;
  readonly #parts: StoreParts;
  readonly #listeners: AppendListeners;
  readonly #log: LogReading;
  readonly #aggregates: AggregateReading;

  /**
   * @throws TypeError if `events` or `upcasters` cannot be registered; the message lists all problems.
   */
  constructor(storage: EventStorage, options?: StoreOptions, surroundings?: StoreSurroundings) {
    if (typeof storage?.append !== 'function') throw new TypeError('There is no EventStorage.');
    this.#storage = storage;
    this.#parts = storeParts(options, surroundings);
    const { registry, serializer, onWarning } = this.#parts;
    this.#listeners = new AppendListeners(onWarning);
    storage.reportTo((records) => this.#listeners.notify(records));
    const managerOf = this.transactionOf.bind(this);
    this.#log = new LogReading(storage, registry, serializer, managerOf);
    this.#aggregates = new AggregateReading(storage, serializer, managerOf, onWarning);
  }

  /**
   * Appends events to one aggregate: all of them, in order, at consecutive versions, or none.
   *
   * An empty list checks the expectation, writes nothing, and returns the current version. Events whose
   * ids are already stored are not written again: if the same events, in the same order, follow one
   * another in this aggregate where the expectation allows them, the first result is returned with
   * `duplicate: true`. Events are the same if their types and their decoded content are equal; metadata
   * is not compared. Events that were removed meanwhile have no records in the result.
   *
   * @throws WrongExpectedVersionError if the aggregate is at another version; nothing is written.
   * @throws DuplicateEventError if an event's id is already used in any other way, or occurs twice; it
   * states the difference, and up to which version the same events are stored.
   * @throws InvalidAggregateRefError if the aggregate's type or id cannot be stored exactly.
   * @throws AppendTooLargeError if there are more than `maxAppendEvents` events.
   * @throws TypeError if `expectedVersion` is neither one of its words nor a whole number from 0 up,
   * or an option is unknown.
   * @throws InvalidEventError if an event cannot be stored exactly; it names the path inside it.
   * @throws StoreOverloadedError if too many appends, or bytes, are waiting; nothing is written.
   */
  async append(
    aggregate: AggregateRef,
    events: readonly (object | EventData)[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const { manager, ...append } = appendOptions.take(options);
    const [result] = await this.#append([{ ...append, aggregate, events }], manager);
    return result!;
  }

  /**
   * Appends to several aggregates, each with its own expectation: all appends commit, or none.
   *
   * The appends are applied in the order of the list, and the results have the same order. Each
   * aggregate may occur more than once, an event id only once. `maxAppendEvents` limits the events of
   * the whole list. Throws what `append` throws, for the first append that cannot be accepted.
   *
   * If every append has an idempotency key, those whose key is already stored return their first
   * results, and the others are written together.
   */
  async appendAll(
    appends: readonly Append[],
    options: { readonly manager?: EntityManager } = {},
  ): Promise<readonly AppendResult[]> {
    const { manager } = appendAllOptions.take(options);
    return this.#append(checkAppends(appends), manager);
  }

  async #append(
    appends: readonly Append[],
    manager: EntityManager | undefined,
  ): Promise<readonly AppendResult[]> {
    const joined = this.transactionOf(manager);
    // No await before the storage has the call: the order of appends is that of the calls.
    const call = prepareAppends(appends, this.#parts.serializer, this.#parts);
    const results = await this.#storage.append(call, joined);
    for (const { position } of results) noteAppended(position);
    return results;
  }

  /**
   * Reads the log strictly after a position, in the order of positions.
   *
   * An event whose transaction is still open, and everything after it, is left for a later call:
   * a reader that continues from the returned position sees every event exactly once.
   *
   * @throws TypeError if `after`, `limit` or `direction` is not one of the values they may have.
   */
  fetch(after = 0, options: ReadOptions = {}): Promise<LogPage> {
    return this.#log.page(after, options);
  }

  /** Reads the log step by step, for readers that continue after a restart. */
  get log(): LogReader {
    return this.#log;
  }

  /**
   * Reads one aggregate strictly after a version, in the order of versions.
   *
   * An unknown aggregate is at version 0 and has no events. A page does not distinguish a removed
   * event from a missing one; `fetchHistory` does.
   *
   * @throws TypeError if `after`, `limit` or `direction` is not one of the values they may have.
   */
  fetchByAggregate(
    aggregate: AggregateRef,
    after = 0,
    options: AggregateReadOptions = {},
  ): Promise<AggregatePage> {
    return this.#aggregates.page(aggregate, after, options);
  }

  /**
   * Reads the last usable snapshot of an aggregate and all events after it, in one round trip.
   *
   * A snapshot that cannot be read, has another revision, or is ahead of the events is logged and
   * ignored; the history then starts with the first event. With `after`, no snapshot is read.
   *
   * @throws CorruptAggregateError if an event is missing in between.
   */
  fetchHistory(aggregate: AggregateRef, options: HistoryOptions = {}): Promise<AggregateHistory> {
    return this.#aggregates.history(aggregate, options);
  }

  /** Returns the last snapshot, or `null` if none can be read at this revision. */
  getSnapshot(aggregate: AggregateRef, options: SnapshotOptions = {}): Promise<Snapshot | null> {
    return this.#aggregates.snapshot(aggregate, options);
  }

  /**
   * Stores `state` as the aggregate's only snapshot.
   *
   * An older version never replaces a newer one; of snapshots of the same version, the last one wins.
   *
   * @throws TypeError if `version` or `revision` is not a whole number from 1 up.
   * @throws SnapshotAheadError if the aggregate has not reached `version`.
   */
  snapshot(
    aggregate: AggregateRef,
    state: object,
    version: number,
    options: SnapshotOptions = {},
  ): Promise<void> {
    return this.#aggregates.keepSnapshot(aggregate, state, version, options);
  }

  /** Returns the position up to which the log can be read now; 0 for an empty log. */
  async currentPosition(): Promise<number> {
    return (await this.#log.endOfLog(this.transactionOf())).position;
  }

  /** Returns how far the log can be read now, and which open transactions hold readers back. */
  async horizon(): Promise<LogHorizon> {
    return this.#storage.horizon(this.transactionOf());
  }

  /** Returns the version of the last event that the aggregate ever had; 0 if it never had one. */
  currentVersion(aggregate: AggregateRef): Promise<number> {
    return this.#aggregates.currentVersion(aggregate);
  }

  /**
   * Deletes every event and the snapshot of one aggregate and returns how many events there were.
   *
   * Its version stays: the next event continues the count, and no position is used again.
   *
   * @throws RemovalRefusedError unless the store was configured with `allowRemoval: true`.
   */
  async removeEvents(ref: AggregateRef): Promise<number> {
    const aggregate = checkAggregateRef(ref);
    if (!this.#parts.allowRemoval) throw new RemovalRefusedError(aggregate);
    return this.#storage.removeEvents(aggregate, this.transactionOf());
  }

  /**
   * Calls `listener` after every commit of this process's appends; returns a function that stops it.
   *
   * An append that wrote nothing is not reported. If a listener throws, the error is logged: the append
   * has succeeded, and the other listeners are called.
   */
  onAppended(listener: AppendListener): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Runs `work` in a transaction of its own and commits it; after a conflict, runs all of it again.
   *
   * Pass `manager` to every call that belongs to the transaction, and load aggregates inside it, so
   * that a repetition decides by the state that is stored then. Version conflicts, serialization
   * failures (40001) and deadlocks (40P01) are repeated, after a short pause that grows with each
   * attempt. Keep effects outside the database out of the work, because it may run several times.
   *
   * @throws whatever `work` throws; the transaction is rolled back.
   * @throws WrongExpectedVersionError or TransactionConflictError when the retries are used up.
   * @throws ConnectionLostError with `outcome: 'unknown'` if the answer to the COMMIT was lost: it may
   * have committed, so the transaction is not run again.
   * @throws NestedTransactionError inside an ambient transaction.
   */
  async transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const checked = checkTransaction(work, options);
    const { transactions } = this.#storage;
    if (!transactions) throw new UnsupportedFeatureError('transactions');
    if (this.transactionOf()) throw new NestedTransactionError();
    return transactions.run(work, checked);
  }

  /**
   * Calls `undo` when an append that has joined the transaction of `manager` is rolled back, with the
   * transaction or with a savepoint; of several appends, the last one first.
   *
   * It is also called if the end of the transaction is unknown: the same events with their ids,
   * appended again, are then found to be stored. A transaction that ends by plain SQL, or not at all,
   * is noticed when its connection returns to the pool.
   */
  onRollback(manager: EntityManager, { records }: AppendResult, undo: () => void): void {
    this.#storage.transactions?.onRollback(manager, records, undo);
  }

  /**
   * Returns the manager whose open transaction a call would join: the given one, or the ambient one.
   *
   * @throws UnsupportedFeatureError if `manager` is given and the events are not in a database.
   */
  transactionOf(manager?: EntityManager): EntityManager | undefined {
    if (manager) {
      if (!this.#storage.transactions) throw new UnsupportedFeatureError('transactions');
      return manager;
    }
    return this.#parts.ambientManager();
  }

  /**
   * Reads the log page by page, so memory does not grow with it; ends at the current end of the log.
   *
   * @throws LogDivergedError if the log was replaced by another one meanwhile, as by a failover.
   */
  stream(after = 0, options: ReadOptions = {}): AsyncGenerator<EventRecord> {
    return this.#log.stream(after, options);
  }

  /** Reads one aggregate page by page; ends at its current version. */
  streamByAggregate(
    aggregate: AggregateRef,
    after = 0,
    options: AggregateReadOptions = {},
  ): AsyncGenerator<EventRecord> {
    return this.#aggregates.stream(aggregate, after, options);
  }
}
