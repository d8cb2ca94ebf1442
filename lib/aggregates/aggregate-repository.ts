import { setTimeout as sleep } from 'node:timers/promises';
import { EventData } from '../events/event-data.ts';
import { newEventId } from '../events/event-id.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import { dispatchedBy } from '../store/appending/dispatcher.ts';
import type { AppendOptions, AppendResult } from '../store/appending/append.ts';
import type { EventStore } from '../store/event-store.ts';
import { checkWholeNumber, show } from '../input/whole-number.ts';
import {
  AggregateLockedError,
  WrongExpectedVersionError,
} from '../store/appending/append.errors.ts';
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
import { TurnsByTransaction } from './aggregate-turns.ts';
import { AggregateLoader, emptyHistory, type HistoryEnd, type Loaded } from './aggregate-loader.ts';
import {
  type AggregateRepositoryOptions,
  type ExecuteOptions,
  executeOptions,
  type ExecuteResult,
  type LoadOptions,
  loadOptions,
  type ResultOf,
  type SaveOptions,
  saveOptions,
} from './repository-options.ts';
import { isInsideWork, isInsideWorkOf, runWork } from './running-work.ts';
import { hasLostEvents, setUncommittedEvents } from './uncommitted-events.ts';

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
  readonly #loader: AggregateLoader<T>;
  readonly #ends = new WeakMap<T, HistoryEnd>();
  readonly #saving = new WeakSet<T>();
  readonly #turns = new TurnsByTransaction();
  // The ids of the uncommitted events, in their order. Every application of an event has its own id and
  // keeps it for all attempts to save, so that a retry after a lost connection finds what was stored.
  readonly #eventIds = new WeakMap<T, string[]>();

  constructor(
    store: EventStore,
    aggregateClass: AggregateClass<T>,
    definition: AggregateDefinition,
    { cacheSize, onWarning }: AggregateRepositoryOptions,
  ) {
    this.#store = store;
    this.#aggregateClass = aggregateClass;
    this.#definition = definition;
    this.#loader = new AggregateLoader(store, aggregateClass, definition, cacheSize, onWarning);
  }

  /**
   * Returns the aggregate folded up to its last event, in one round trip.
   *
   * @throws AggregateNotFoundError if it has no event.
   */
  async load(id: string, options: LoadOptions = {}): Promise<T> {
    const aggregate = await this.find(id, options);
    if (!aggregate) throw new AggregateNotFoundError(this.#ref(id));
    return aggregate;
  }

  /** Returns the aggregate folded up to its last event, or `null` if it has none. */
  async find(id: string, options: LoadOptions = {}): Promise<T | null> {
    return this.#remember(await this.#loader.load(id, loadOptions.take(options).manager));
  }

  /** Returns the version at which the aggregate was loaded or saved last; 0 if it is new. */
  versionOf(aggregate: T): number {
    return this.#endOf(aggregate).version;
  }

  /**
   * Appends the uncommitted events and clears them. Without uncommitted events it writes nothing and
   * returns the version and the position at which the aggregate was last loaded or saved.
   *
   * A snapshot is taken when the policy says so; a failure to take it is logged and the save succeeds.
   * After a `ConnectionLostError` the same instance can be saved again.
   *
   * @throws WrongExpectedVersionError if another caller has appended since the load.
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

    const end = this.#endOf(aggregate);
    const events = aggregate.getUncommittedEvents();
    if (events.length === 0) {
      return { ...end, records: [], duplicate: false };
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
      // Another process has stored its events with this key; the events of this instance are not stored.
      if (result.duplicate && options.idempotencyKey !== undefined) return result;
      this.#ends.set(aggregate, { version: result.version, position: result.position });
      this.#eventIds.delete(aggregate);
      // Events that were applied during the save are left for the next save.
      setUncommittedEvents(aggregate, aggregate.getUncommittedEvents().slice(events.length));
      if (manager) {
        this.#store.onRollback(manager, result, () => {
          this.#putBack(aggregate, events, ids, end);
        });
      }
      const before = result.version - events.length;
      await this.#loader.snapshotIfDue(aggregate.id, before, result.version, options.manager);
      return result;
    } finally {
      this.#saving.delete(aggregate);
    }
  }

  /**
   * Loads the aggregate, runs the work on it, and saves it; a version conflict repeats all three steps.
   *
   * Within a process, calls for one aggregate run one after another, in the order of the calls. Each
   * waits at most 5 seconds for each call before it. If another transaction keeps the aggregate locked,
   * all calls that have waited for `lockTimeoutMs` fail together. Conflicts come from other processes,
   * from `save` and from `append`; a retry waits a random time of up to 20 ms, then 40, 80 …
   *
   * The work may run several times, each time on an instance of its own. It may call `execute` for other
   * aggregates; that call does not wait for its turn.
   *
   * @throws AggregateNotFoundError if it has no event.
   * @throws WrongExpectedVersionError if the retries are used up, or it is not at `expectedVersion`.
   * @throws NestedExecuteError if it is called inside a work of the same aggregate.
   * @throws TypeError if the work is no function, or if `retries` or `expectedVersion` is not a whole
   * number from 0 up.
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
    // Calls that another call waits for must not wait for that call in turn. Earlier calls may wait for
    // the outer work, so a nested call takes its turn at once. They may also wait for a row that an
    // open transaction has locked, so calls inside a transaction have turns of their own.
    const turns = this.#turns.in(this.#store.transactionOf(options.manager));
    const executed = turns.take(id, !isInsideWork(), (failWaiting) =>
      this.#execute(id, work, options, failWaiting),
    );
    return executed as Promise<ExecuteResult<ResultOf<R, Options>>>;
  }

  async #execute<R>(
    id: string,
    work: (aggregate: T) => R | Promise<R>,
    { retries = 3, expectedVersion, ...options }: ExecuteOptions,
    failWaiting: (error: Error) => void,
  ): Promise<ExecuteResult<R | undefined>> {
    const { idempotencyKey, manager } = options;
    // Locks met inside the work are not noted: they may be those of another aggregate.
    const noteLock = (error: unknown): never => {
      if (error instanceof AggregateLockedError) failWaiting(error);
      throw error;
    };
    for (let attempt = 0; ; attempt++) {
      if (idempotencyKey !== undefined) {
        // If events were stored with this key, an empty append returns the result of their append.
        const known = { idempotencyKey, ...(manager && { manager }) };
        const stored = await this.#store.append(this.#ref(id), [], known).catch(noteLock);
        if (stored.duplicate) return { ...stored, result: undefined };
      }
      const aggregate = this.#remember(await this.#loader.loadCached(id, options.manager));
      if (!aggregate) throw new AggregateNotFoundError(this.#ref(id));
      const version = this.versionOf(aggregate);
      if (expectedVersion !== undefined && version !== expectedVersion) {
        throw new WrongExpectedVersionError(this.#ref(id), expectedVersion, version);
      }
      const result = await runWork(this, id, () => work(aggregate));
      try {
        const saved = await this.#save(aggregate, options).catch(noteLock);
        const isRepetition = saved.duplicate && idempotencyKey !== undefined;
        return { ...saved, result: isRepetition ? undefined : result };
      } catch (error) {
        const isConflict = error instanceof WrongExpectedVersionError;
        if (!isConflict || expectedVersion !== undefined || attempt >= retries) throw error;
      }
      await sleep(retryDelayMs(attempt));
    }
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
   * Returns whether a new instance begins an aggregate again whose events were removed; if it does, the
   * instance continues the version count. If another instance has begun it meanwhile, the version has
   * changed, and the append fails with a conflict.
   */
  async #beginsAgain(
    aggregate: T,
    version: number,
    manager: LoadOptions['manager'],
  ): Promise<boolean> {
    if (this.#endOf(aggregate) !== emptyHistory) return false;
    const options = { after: version, ...(manager && { manager }) };
    const history = await this.#store.fetchHistory(this.#ref(aggregate.id), options);
    if (history.version !== version || history.removedVersion !== version) return false;
    // Kept, so that the save can be repeated after a lost connection.
    this.#ends.set(aggregate, { version, position: 0 });
    return true;
  }

  #remember(loaded: Loaded<T> | null): T | null {
    if (!loaded) return null;
    const { aggregate, version, position } = loaded;
    this.#ends.set(aggregate, { version, position });
    return aggregate;
  }

  /** Makes events uncommitted again that were saved in a transaction which was rolled back. */
  #putBack(aggregate: T, events: readonly object[], ids: readonly string[], end: HistoryEnd): void {
    setUncommittedEvents(aggregate, [...events, ...aggregate.getUncommittedEvents()]);
    this.#eventIds.set(aggregate, [...ids, ...(this.#eventIds.get(aggregate) ?? [])]);
    this.#ends.set(aggregate, end);
  }

  #endOf(aggregate: T): HistoryEnd {
    return this.#ends.get(aggregate) ?? emptyHistory;
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

/** Returns a random part of a bound that doubles, so that processes in conflict do not meet again. */
const retryDelayMs = (attempt: number): number => Math.random() * Math.min(20 * 2 ** attempt, 640);
