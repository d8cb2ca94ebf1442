import { EventData } from '../events/event-data.ts';
import { newEventId } from '../events/event-id.ts';
import { KnownOptions } from '../events/known-options.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type {
  AggregateHistory,
  AppendOptions,
  AppendResult,
  EventStore,
  SnapshotOptions,
} from '../store/event-store.ts';
import { WrongExpectedVersionError } from '../store/store.errors.ts';
import { AggregateCache, type FoldedAggregate } from './aggregate-cache.ts';
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
} from './aggregates.errors.ts';
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
}

const loadOptions = new KnownOptions<LoadOptions>('load', { manager: true });
const saveNames = { metadata: true, manager: true } as const;
const saveOptions = new KnownOptions<SaveOptions>('save', saveNames);
const executeOptions = new KnownOptions<ExecuteOptions>('execute', {
  ...saveNames,
  retries: true,
  expectedVersion: true,
});

/** What a save answers, and what the work returned. */
export interface ExecuteResult<R> extends AppendResult {
  readonly result: R;
}

export interface AggregateRepositoryOptions {
  /** How many folded aggregates are kept in memory between calls of `execute`; 0 keeps none. */
  readonly cacheSize: number;
  /** Told of what must not fail a call: a snapshot that could not be taken or restored. */
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
  readonly #cache: AggregateCache<T>;
  readonly #versions = new WeakMap<T, number>();
  readonly #saving = new WeakSet<T>();
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
    this.#cache = new AggregateCache(options.cacheSize);
  }

  /**
   * Returns the aggregate folded up to its last event, in one round trip.
   *
   * @throws AggregateNotFoundError if it has no event.
   */
  async load(id: string, options: LoadOptions = {}): Promise<T> {
    const aggregate = await this.find(id, options);
    if (!aggregate) throw new AggregateNotFoundError(this.#definition.type, id);
    return aggregate;
  }

  /** Returns the aggregate folded up to its last event, or `null` if it has none. */
  async find(id: string, options: LoadOptions = {}): Promise<T | null> {
    const folded = await this.#fold(id, loadOptions.take(options).manager);
    return folded && this.#handOut(folded);
  }

  /** Returns the version at which the aggregate was loaded or saved last; 0 if it is new. */
  versionOf(aggregate: T): number {
    return this.#versions.get(aggregate) ?? 0;
  }

  /**
   * Appends the uncommitted events and clears them; without any it does nothing.
   *
   * A snapshot is taken when the policy says so; if that fails it is logged and the save succeeds.
   * After a `ConnectionLostError` the same instance can be saved again.
   *
   * @throws WrongExpectedVersionError if somebody else has appended since the load.
   * @throws LostEventsError if `uncommit()` or `autoCommit` took events away.
   */
  async save(aggregate: T, given: SaveOptions = {}): Promise<AppendResult> {
    const options = saveOptions.take(given);
    const { type } = this.#definition;
    if (aggregate.autoCommit) throw new AutoCommitUnsupportedError(type, aggregate.id);
    if (hasLostEvents(aggregate)) throw new LostEventsError(type, aggregate.id);
    if (this.#saving.has(aggregate)) throw new AggregateInUseError(type, aggregate.id);

    const expectedVersion = this.versionOf(aggregate);
    const events = aggregate.getUncommittedEvents();
    if (events.length === 0) {
      return { version: expectedVersion, position: 0, records: [], duplicate: false };
    }
    this.#saving.add(aggregate);
    try {
      const manager = this.#store.transactionOf(options.manager);
      const ids = this.#idsFor(aggregate, events.length);
      const data = events.map((event, index) => new EventData(event, { id: ids[index]! }));
      const result = await this.#store.append(this.#ref(aggregate.id), data, {
        ...options,
        expectedVersion,
      });
      this.#versions.set(aggregate, result.version);
      this.#eventIds.delete(aggregate);
      // Those that were applied during the save are left for the next one.
      setUncommittedEvents(aggregate, aggregate.getUncommittedEvents().slice(events.length));
      if (manager) {
        this.#store.onRollback(manager, result, () =>
          this.#putBack(aggregate, events, ids, expectedVersion),
        );
      }
      await this.#snapshotIfDue(aggregate, expectedVersion, result.version, options.manager);
      return result;
    } finally {
      this.#saving.delete(aggregate);
    }
  }

  /**
   * Loads the aggregate, runs the work on it, and saves; on a version conflict all of it again.
   *
   * The work may run several times and must not keep the instance: it may serve the next caller.
   *
   * @throws AggregateNotFoundError if it has no event.
   * @throws WrongExpectedVersionError if the retries are used up, or it is not at `expectedVersion`.
   */
  async execute<R>(
    id: string,
    work: (aggregate: T) => R | Promise<R>,
    given: ExecuteOptions = {},
  ): Promise<ExecuteResult<R>> {
    const { retries = 3, expectedVersion, ...options } = executeOptions.take(given);
    // What happened in a transaction that is still open may never have happened: not for the cache.
    const isShareable = this.#store.transactionOf(options.manager) === undefined;
    for (let attempt = 0; ; attempt++) {
      const aggregate = await (isShareable
        ? this.#takeOrLoad(id)
        : this.load(id, options.manager && { manager: options.manager }));
      const version = this.versionOf(aggregate);
      if (expectedVersion !== undefined && version !== expectedVersion) {
        throw new WrongExpectedVersionError(this.#ref(id), expectedVersion, version);
      }
      const result = await work(aggregate);
      try {
        const saved = await this.save(aggregate, options);
        // Events applied during the save are those of this caller: the next one must not save them.
        if (isShareable && aggregate.getUncommittedEvents().length === 0) {
          this.#cache.put(id, { aggregate, version: saved.version });
        }
        return { ...saved, result };
      } catch (error) {
        const isConflict = error instanceof WrongExpectedVersionError;
        if (!isConflict || expectedVersion !== undefined || attempt >= retries) throw error;
      }
    }
  }

  /** The cached aggregate brought up to date, or a newly loaded one. */
  async #takeOrLoad(id: string): Promise<T> {
    const cached = this.#cache.take(id);
    if (!cached) return this.load(id);
    const { aggregate, version } = cached;
    const history = await this.#store.fetchHistory(this.#ref(id), { after: version });
    // Restored to an earlier time, or removed: what was folded is no longer true.
    if (history.version < version || history.removedVersion >= version) return this.load(id);
    aggregate.loadFromHistory(history.records.map((record) => record.event));
    return this.#handOut({ aggregate, version: history.version });
  }

  async #fold(id: string, manager: LoadOptions['manager']): Promise<FoldedAggregate<T> | null> {
    const options = { revision: this.#definition.snapshotRevision, ...(manager && { manager }) };
    const history = await this.#store.fetchHistory(this.#ref(id), options);
    if (history.snapshot === null && history.records.length === 0) return null;
    try {
      return this.#restore(id, history);
    } catch (error) {
      if (history.snapshot === null) throw error;
      this.#warn(
        `The snapshot of ${this.#definition.type}/${id} could not be restored; it is folded from its events.`,
        error,
      );
      return this.#restore(
        id,
        await this.#store.fetchHistory(this.#ref(id), { ...options, after: 0 }),
      );
    }
  }

  #restore(id: string, history: AggregateHistory): FoldedAggregate<T> {
    const aggregate = new this.#aggregateClass(id);
    if (history.snapshot) restoreState(aggregate, history.snapshot.state);
    aggregate.loadFromHistory(history.records.map((record) => record.event));
    return { aggregate, version: history.version };
  }

  #handOut({ aggregate, version }: FoldedAggregate<T>): T {
    this.#versions.set(aggregate, version);
    return aggregate;
  }

  /** Makes events that were saved in a transaction uncommitted again, as it was rolled back. */
  #putBack(aggregate: T, events: readonly object[], ids: readonly string[], version: number): void {
    setUncommittedEvents(aggregate, [...events, ...aggregate.getUncommittedEvents()]);
    this.#eventIds.set(aggregate, [...ids, ...(this.#eventIds.get(aggregate) ?? [])]);
    this.#versions.set(aggregate, version);
  }

  async #snapshotIfDue(
    aggregate: T,
    before: number,
    after: number,
    manager: LoadOptions['manager'],
  ): Promise<void> {
    const { type, snapshots, snapshotRevision: revision } = this.#definition;
    // With events applied during the save, the state is ahead of the version: the next save will do.
    if (aggregate.getUncommittedEvents().length > 0) return;
    try {
      if (!snapshots.isDue(before, after)) return;
      const options = { revision, ...(manager && { manager }) };
      await this.#store.snapshot(this.#ref(aggregate.id), stateOf(aggregate), after, options);
    } catch (error) {
      this.#warn(`No snapshot of ${type}/${aggregate.id} at version ${after} was taken.`, error);
    }
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
