import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { EventData } from '../events/event-data.ts';
import { newEventId } from '../events/event-id.ts';
import { KnownOptions } from '../input/known-options.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import { dispatchedBy } from '../store/appending/dispatcher.ts';
import type { AggregateHistory, SnapshotOptions } from '../store/reading/aggregate-history.ts';
import type { AppendOptions, AppendResult } from '../store/appending/append.ts';
import type { EventStore } from '../store/event-store.ts';
import { checkWholeNumber, show } from '../input/whole-number.ts';
import { replayOf } from '../store/reading/replay.ts';
import { TransactionOverError } from '../store/store.errors.ts';
import { WrongExpectedVersionError } from '../store/appending/append.errors.ts';
import { restoreState, stateOf } from './aggregate-snapshot.ts';
import type {
  AggregateClass,
  AggregateDefinition,
  IdentifiedAggregate,
} from './aggregate.decorator.ts';
import {
  AggregateInUseError,
  AggregateNotFoundError,
  AutoCommitUnsupportedError,
  LostEventsError,
  NestedExecuteError,
} from './aggregates.errors.ts';
import { AggregateTurns } from './aggregate-turns.ts';
import { HistoryCache } from './history-cache.ts';
import { isInsideWork, isInsideWorkOf, runWork } from './running-work.ts';
import { hasLostEvents, setUncommittedEvents } from './uncommitted-events.ts';

/** `manager`: reads inside its transaction. */
export type LoadOptions = Pick<SnapshotOptions, 'manager'>;

/** `metadata` for every event, and `manager` to append inside its transaction. */
export type SaveOptions = Pick<AppendOptions, 'metadata' | 'manager'>;

export interface ExecuteOptions extends SaveOptions {
  /** How often to load and run the work again after a version conflict. @default 3 */
  readonly retries?: number;
  /** The version that the caller has seen; at any other the work is not run and nothing retried. */
  readonly expectedVersion?: number;
  /**
   * Runs the work once, however often it is asked for with this key and aggregate, in any process: if
   * events were stored with the key before, the work is not run, and the answer is their append's, with
   * `duplicate: true` and no `result`. A work that has stored no event is not known again.
   */
  readonly idempotencyKey?: string | undefined;
}

const loadOptions = new KnownOptions<LoadOptions>('load', { manager: true });
const saveNames = { metadata: true, manager: true } as const;
const saveOptions = new KnownOptions<SaveOptions>('save', saveNames);
const executeOptions = new KnownOptions<ExecuteOptions>('execute', {
  ...saveNames,
  retries: true,
  expectedVersion: true,
  idempotencyKey: true,
});

/** What a save answers, and what the work returned. */
export interface ExecuteResult<R> extends AppendResult {
  readonly result: R;
}

/** What the work returned; with an idempotency key, undefined if its events were stored before. */
type ResultOf<R, Options> = 'idempotencyKey' extends keyof Options ? R | undefined : R;

/** How far an instance has come: the aggregate's version, and the position of its event there. */
interface Place {
  readonly version: number;
  readonly position: number;
}

const beginning: Place = { version: 0, position: 0 };

export interface AggregateRepositoryOptions {
  /** Of how many aggregates the history is kept in memory between calls of `execute`; 0 keeps none. */
  readonly cacheSize: number;
  /** Called for what must not fail a call: a snapshot that could not be taken or restored. */
  readonly onWarning: (message: string, error?: unknown) => void;
}

/**
 * Loads and saves the aggregates of one class.
 *
 * Every load gives an instance of its own, folded from the last snapshot and the events after it.
 * A save appends the uncommitted events with the loaded version as expectation.
 */
export class AggregateRepository<T extends IdentifiedAggregate> {
  readonly #store: EventStore;
  readonly #aggregateClass: AggregateClass<T>;
  readonly #definition: AggregateDefinition;
  readonly #warn: AggregateRepositoryOptions['onWarning'];
  readonly #cache: HistoryCache;
  readonly #places = new WeakMap<T, Place>();
  readonly #saving = new WeakSet<T>();
  readonly #turns = new AggregateTurns();
  /** By what TypeORM runs a transaction with. */
  readonly #turnsInTransactions = new WeakMap<object, AggregateTurns>();
  // The ids of the uncommitted events, in their order: one for every time that an event is applied, and
  // the same at every attempt to save it, so that one after a lost connection finds what was stored.
  readonly #eventIds = new WeakMap<T, string[]>();

  constructor(
    store: EventStore,
    aggregateClass: AggregateClass<T>,
    definition: AggregateDefinition,
    options: AggregateRepositoryOptions,
  ) {
    this.#store = store;
    this.#aggregateClass = aggregateClass;
    this.#definition = definition;
    this.#warn = options.onWarning;
    this.#cache = new HistoryCache(options.cacheSize);
  }

  /**
   * Returns the aggregate folded up to its last event, in one round trip.
   *
   * @throws AggregateNotFoundError if it has no event.
   */
  async load(id: string, options: LoadOptions = {}): Promise<T> {
    const aggregate = await this.find(id, options);
    if (!aggregate) throw new AggregateNotFoundError({ type: this.#definition.type, id });
    return aggregate;
  }

  /** Returns the aggregate folded up to its last event, or `null` if it has none. */
  async find(id: string, options: LoadOptions = {}): Promise<T | null> {
    return (await this.#fold(id, loadOptions.take(options).manager))?.aggregate ?? null;
  }

  /** Returns the version at which the aggregate was loaded or saved last; 0 if it is new. */
  versionOf(aggregate: T): number {
    return this.#placeOf(aggregate).version;
  }

  /**
   * Appends the uncommitted events and clears them; without any it writes nothing, and answers with the
   * version and the position that the aggregate was loaded or saved at last.
   *
   * A snapshot is taken when the policy says so; if that fails it is logged and the save succeeds.
   * After a `ConnectionLostError` the same instance can be saved again.
   *
   * @throws WrongExpectedVersionError if somebody else has appended since the load.
   * @throws LostEventsError if `uncommit()` or `autoCommit` took events away.
   * @throws TypeError if it is no instance of the repository's class.
   */
  async save(aggregate: T, given: SaveOptions = {}): Promise<AppendResult> {
    if (!(aggregate instanceof this.#aggregateClass)) {
      const { name } = this.#aggregateClass;
      throw new TypeError(
        `save: the aggregate must be an instance of ${name}, got ${show(aggregate)}.`,
      );
    }
    return this.#save(aggregate, saveOptions.take(given));
  }

  async #save(aggregate: T, options: AppendOptions): Promise<AppendResult> {
    const ref = { type: this.#definition.type, id: aggregate.id };
    if (aggregate.autoCommit) throw new AutoCommitUnsupportedError(ref);
    if (hasLostEvents(aggregate)) throw new LostEventsError(ref);
    if (this.#saving.has(aggregate)) throw new AggregateInUseError(ref);

    const place = this.#placeOf(aggregate);
    const events = aggregate.getUncommittedEvents();
    if (events.length === 0) {
      return { ...place, records: [], duplicate: false };
    }
    this.#saving.add(aggregate);
    try {
      const manager = this.#store.transactionOf(options.manager);
      const ids = this.#idsFor(aggregate, events.length);
      const data =
        options.idempotencyKey === undefined
          ? events.map((event, index) => new EventData(event, { id: ids[index]! }))
          : events;
      const result = await this.#append(aggregate, data, options);
      // Stored meanwhile by another process: the instance has other events than the aggregate.
      if (result.duplicate && options.idempotencyKey !== undefined) return result;
      this.#places.set(aggregate, { version: result.version, position: result.position });
      this.#eventIds.delete(aggregate);
      // Those that were applied during the save are left for the next one.
      setUncommittedEvents(aggregate, aggregate.getUncommittedEvents().slice(events.length));
      if (manager) {
        this.#store.onRollback(manager, result, () => {
          this.#putBack(aggregate, events, ids, place);
        });
      }
      const before = result.version - events.length;
      await this.#snapshotIfDue(aggregate.id, before, result.version, options.manager);
      return result;
    } finally {
      this.#saving.delete(aggregate);
    }
  }

  /**
   * Loads the aggregate, runs the work on it, and saves; on a version conflict all of it again.
   *
   * Calls for one aggregate run one after another in a process, in the order in which they were made: each
   * waits for those before it, 5 seconds at most for each; if another transaction keeps the aggregate locked,
   * all that have waited for `lockTimeoutMs` fail together. Conflicts come from other processes, from `save`
   * and from `append`; a retry waits a random time of up to 20 ms, then 40, 80 …
   *
   * The work may run several times, each time on an instance of its own. It may call `execute` for other
   * aggregates; that call does not wait for its turn.
   *
   * @throws AggregateNotFoundError if it has no event.
   * @throws WrongExpectedVersionError if the retries are used up, or it is not at `expectedVersion`.
   * @throws NestedExecuteError if it is called inside a work of the same aggregate.
   * @throws TypeError if the work is no function, or if `retries` or `expectedVersion` is not a whole number from 0 up.
   */
  async execute<R, Options extends ExecuteOptions = Omit<ExecuteOptions, 'idempotencyKey'>>(
    id: string,
    work: (aggregate: T) => R | Promise<R>,
    given?: Options,
  ): Promise<ExecuteResult<ResultOf<R, Options>>> {
    if (typeof work !== 'function') {
      throw new TypeError(`execute: the work must be a function, got ${show(work)}.`);
    }
    const options = executeOptions.take(given === undefined ? {} : given);
    checkWholeNumber('retries', options.retries ?? 0);
    checkWholeNumber('expectedVersion', options.expectedVersion ?? 0);
    if (isInsideWorkOf(this, id)) throw new NestedExecuteError({ type: this.#definition.type, id });
    // A call that waits for its turn must not be waited for by those before it. They may wait for an outer
    // work, which therefore takes its turn at once, and for the row that an open transaction holds, which
    // therefore has turns of its own.
    const turns = this.#turnsIn(this.#store.transactionOf(options.manager));
    const executed = turns.take(id, !isInsideWork(), () => this.#execute(id, work, options));
    return executed as Promise<ExecuteResult<ResultOf<R, Options>>>;
  }

  async #execute<R>(
    id: string,
    work: (aggregate: T) => R | Promise<R>,
    { retries = 3, expectedVersion, ...options }: ExecuteOptions,
  ): Promise<ExecuteResult<R | undefined>> {
    const { idempotencyKey, manager } = options;
    for (let attempt = 0; ; attempt++) {
      if (idempotencyKey !== undefined) {
        // An empty append is answered with what was stored with its key.
        const stored = await this.#store.append(this.#ref(id), [], {
          idempotencyKey,
          ...(manager && { manager }),
        });
        if (stored.duplicate) return { ...stored, result: undefined };
      }
      const aggregate = await this.#loadFor(id, options.manager);
      const version = this.versionOf(aggregate);
      if (expectedVersion !== undefined && version !== expectedVersion) {
        throw new WrongExpectedVersionError(this.#ref(id), expectedVersion, version);
      }
      const result = await runWork(this, id, () => work(aggregate));
      try {
        const saved = await this.#save(aggregate, options);
        const isRepetition = saved.duplicate && idempotencyKey !== undefined;
        return { ...saved, result: isRepetition ? undefined : result };
      } catch (error) {
        const isConflict = error instanceof WrongExpectedVersionError;
        if (!isConflict || expectedVersion !== undefined || attempt >= retries) throw error;
      }
      await sleep(retryDelayMs(attempt));
    }
  }

  #turnsIn(transaction: LoadOptions['manager']): AggregateTurns {
    if (!transaction) return this.#turns;
    const key = transaction.queryRunner ?? transaction;
    const turns = this.#turnsInTransactions.get(key) ?? new AggregateTurns();
    this.#turnsInTransactions.set(key, turns);
    return turns;
  }

  /** Appends after the version of the instance. */
  async #append(
    aggregate: T,
    events: readonly object[],
    options: AppendOptions,
  ): Promise<AppendResult> {
    const reference = dispatchedBy(this.#ref(aggregate.id), aggregate);
    const append = (): Promise<AppendResult> => {
      const expectedVersion = this.versionOf(aggregate);
      return this.#store.append(reference, events, { ...options, expectedVersion });
    };
    try {
      return await append();
    } catch (error) {
      if (!(error instanceof WrongExpectedVersionError)) throw error;
      const beginsAgain = await this.#beginsAgain(aggregate, error.actualVersion, options.manager);
      if (!beginsAgain) throw error;
      return append();
    }
  }

  /**
   * Returns whether a new instance begins an aggregate again whose events were removed, and lets it
   * continue the count. Another that has begun it meanwhile is a conflict: the version has changed then.
   */
  async #beginsAgain(
    aggregate: T,
    version: number,
    manager: LoadOptions['manager'],
  ): Promise<boolean> {
    if (this.#placeOf(aggregate) !== beginning) return false;
    const options = { after: version, ...(manager && { manager }) };
    const history = await this.#store.fetchHistory(this.#ref(aggregate.id), options);
    if (history.version !== version || history.removedVersion !== version) return false;
    // Kept, so that the save can be repeated after a lost connection.
    this.#places.set(aggregate, { version, position: 0 });
    return true;
  }

  /** Loads with the help of what is kept in memory, and keeps what it has read. */
  async #loadFor(id: string, manager: LoadOptions['manager']): Promise<T> {
    // What is read in an open transaction may never have happened: not for the cache.
    if (this.#store.transactionOf(manager)) return this.load(id, manager && { manager });
    const cached = this.#cache.get(id);
    if (cached) {
      const reading = this.#store.fetchHistory(this.#ref(id), { after: cached.version });
      reading.catch(ignore);
      // Decoded while the database answers, once the request has left.
      await setImmediate();
      const { state, events } = cached.decode();
      const history = await reading;
      const later = replayOf(history);
      const replay = later && cached.followedBy(later);
      if (replay) {
        this.#cache.put(id, replay);
        return this.#restore(id, state, [...events, ...eventsOf(history)], history);
      }
    }
    const folded = await this.#fold(id, undefined);
    this.#cache.put(id, folded ? replayOf(folded.history) : undefined);
    if (!folded) throw new AggregateNotFoundError({ type: this.#definition.type, id });
    return folded.aggregate;
  }

  /** Folds the last snapshot and the events after it; `null` if there is neither. */
  async #fold(
    id: string,
    manager: LoadOptions['manager'],
  ): Promise<{ readonly aggregate: T; readonly history: AggregateHistory } | null> {
    const options = { revision: this.#definition.snapshotRevision, ...(manager && { manager }) };
    const fetchHistory = (after?: number): Promise<AggregateHistory> =>
      this.#store.fetchHistory(this.#ref(id), { ...options, ...(after === 0 && { after }) });
    const foldRecords = (history: AggregateHistory) => {
      const state = history.snapshot?.state ?? null;
      return { aggregate: this.#restore(id, state, eventsOf(history), history), history };
    };

    const history = await fetchHistory();
    if (history.snapshot === null && history.records.length === 0) return null;
    try {
      return foldRecords(history);
    } catch (error) {
      if (history.snapshot === null) throw error;
      this.#warn(
        `The snapshot of ${this.#definition.type}/${id} could not be restored; it is folded from its events.`,
        error,
      );
      return foldRecords(await fetchHistory(0));
    }
  }

  #restore(id: string, state: object | null, events: readonly object[], place: Place): T {
    const aggregate = new this.#aggregateClass(id);
    if (state) restoreState(aggregate, state);
    aggregate.loadFromHistory([...events]);
    const { version, position } = place;
    this.#places.set(aggregate, { version, position });
    return aggregate;
  }

  /** Makes events that were saved in a transaction uncommitted again, as it was rolled back. */
  #putBack(aggregate: T, events: readonly object[], ids: readonly string[], place: Place): void {
    setUncommittedEvents(aggregate, [...events, ...aggregate.getUncommittedEvents()]);
    this.#eventIds.set(aggregate, [...ids, ...(this.#eventIds.get(aggregate) ?? [])]);
    this.#places.set(aggregate, place);
  }

  /**
   * Keeps a snapshot of what the log says now.
   *
   * Not of the instance that was saved: its caller may have changed more than its events say, such as the
   * order of a list, and a snapshot would make that last.
   */
  async #snapshotIfDue(
    id: string,
    before: number,
    after: number,
    manager: LoadOptions['manager'],
  ): Promise<void> {
    const { type, snapshots, snapshotRevision: revision } = this.#definition;
    let mayBeAborted = false;
    try {
      if (!snapshots.isDue(before, after)) return;
      mayBeAborted = this.#store.transactionOf(manager) !== undefined;
      const folded = await this.#fold(id, manager);
      mayBeAborted = false;
      if (!folded) return;
      const options = { revision, ...(manager && { manager }) };
      const { aggregate, history } = folded;
      await this.#store.snapshot(this.#ref(id), stateOf(aggregate), history.version, options);
      // The next load begins at the snapshot.
      this.#cache.delete(id);
    } catch (error) {
      // A read that failed may have aborted the caller's transaction: then nothing of it commits. One
      // that was not sent, because the transaction is over, has not.
      if (mayBeAborted && !(error instanceof TransactionOverError)) throw error;
      this.#warn(`No snapshot of ${type}/${id} at version ${after} was taken.`, error);
    }
  }

  #placeOf(aggregate: T): Place {
    return this.#places.get(aggregate) ?? beginning;
  }

  #ref(id: string): AggregateRef {
    return { type: this.#definition.type, id };
  }

  #idsFor(aggregate: T, count: number): readonly string[] {
    const ids = this.#eventIds.get(aggregate) ?? [];
    this.#eventIds.set(aggregate, ids);
    while (ids.length < count) ids.push(newEventId());
    return ids;
  }
}

/** A random part of a time that doubles, so that processes in conflict do not meet again. */
const retryDelayMs = (attempt: number): number => Math.random() * Math.min(20 * 2 ** attempt, 640);

const eventsOf = (history: AggregateHistory): object[] =>
  history.records.map((record) => record.event);

const ignore = (): void => undefined;
