import { setImmediate } from 'node:timers/promises';
import type { EventStore } from '../store/event-store.ts';
import type { AggregateHistory } from '../store/reading/aggregate-history.ts';
import { replayOf } from '../store/reading/replay.ts';
import { TransactionOverError } from '../store/store.errors.ts';
import { restoreState, stateOf } from './aggregate-snapshot.ts';
import type {
  AggregateClass,
  AggregateDefinition,
  IdentifiedAggregate,
} from './aggregate.decorator.ts';
import { HistoryCache } from './history-cache.ts';
import type { LoadOptions } from './repository-options.ts';

type Manager = LoadOptions['manager'];

/** Where the history of an instance ends: its version, and the position of its last event. */
export interface HistoryEnd {
  readonly version: number;
  readonly position: number;
}

export const emptyHistory: HistoryEnd = { version: 0, position: 0 };

/** An instance, and where its history ends. */
export interface Loaded<T> extends HistoryEnd {
  readonly aggregate: T;
}

/** Folds aggregates of one class, and takes the snapshots that shorten the next fold. */
export class AggregateLoader<T extends IdentifiedAggregate> {
  readonly #store: EventStore;
  readonly #aggregateClass: AggregateClass<T>;
  readonly #definition: AggregateDefinition;
  readonly #cache: HistoryCache;
  readonly #warn: (message: string, error?: unknown) => void;

  constructor(
    store: EventStore,
    aggregateClass: AggregateClass<T>,
    definition: AggregateDefinition,
    cacheSize: number,
    warn: (message: string, error?: unknown) => void,
  ) {
    this.#store = store;
    this.#aggregateClass = aggregateClass;
    this.#definition = definition;
    this.#cache = new HistoryCache(cacheSize);
    this.#warn = warn;
  }

  /** Folds the last snapshot and the events after it; `null` if there is neither. */
  async load(id: string, manager: Manager): Promise<Loaded<T> | null> {
    return (await this.#fold(id, manager))?.loaded ?? null;
  }

  /** Like `load`, but continues from the cached history, and caches the history that it has read. */
  async loadCached(id: string, manager: Manager): Promise<Loaded<T> | null> {
    // An open transaction may still be rolled back, so what it reads must not reach the cache.
    if (this.#store.transactionOf(manager)) return this.load(id, manager);
    const cached = this.#cache.get(id);
    if (cached) {
      const reading = this.#store.fetchHistory(this.#ref(id), { after: cached.version });
      reading.catch(ignore);
      // The cached events are decoded while the database answers, once the request has been sent.
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
    return folded?.loaded ?? null;
  }

  /**
   * Stores a snapshot of the aggregate as the log has it now, if the policy says that one is due.
   *
   * The saved instance itself is not used: its caller may have changed more than the events say, such
   * as the order of a list, and a snapshot would make that change permanent.
   */
  async snapshotIfDue(id: string, before: number, after: number, manager: Manager): Promise<void> {
    const { type, snapshots, snapshotRevision: revision } = this.#definition;
    let mayBeAborted = false;
    try {
      if (!snapshots.isDue(before, after)) return;
      mayBeAborted = this.#store.transactionOf(manager) !== undefined;
      const loaded = await this.load(id, manager);
      mayBeAborted = false;
      if (!loaded) return;
      const options = { revision, ...(manager && { manager }) };
      const { aggregate, version } = loaded;
      await this.#store.snapshot(this.#ref(id), stateOf(aggregate), version, options);
      // The next load begins at the snapshot.
      this.#cache.delete(id);
    } catch (error) {
      // A failed read may have aborted the caller's transaction, and then nothing of it can commit. A
      // read that was never sent, because the transaction is over, has aborted nothing.
      if (mayBeAborted && !(error instanceof TransactionOverError)) throw error;
      this.#warn(`No snapshot of ${type}/${id} at version ${after} was taken.`, error);
    }
  }

  async #fold(
    id: string,
    manager: Manager,
  ): Promise<{ readonly loaded: Loaded<T>; readonly history: AggregateHistory } | null> {
    const options = { revision: this.#definition.snapshotRevision, ...(manager && { manager }) };
    const fetchHistory = (after?: number): Promise<AggregateHistory> =>
      this.#store.fetchHistory(this.#ref(id), { ...options, ...(after === 0 && { after }) });
    const foldRecords = (history: AggregateHistory) => {
      const state = history.snapshot?.state ?? null;
      return { loaded: this.#restore(id, state, eventsOf(history), history), history };
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

  #restore(
    id: string,
    state: object | null,
    events: readonly object[],
    end: HistoryEnd,
  ): Loaded<T> {
    const aggregate = new this.#aggregateClass(id);
    if (state) restoreState(aggregate, state);
    aggregate.loadFromHistory([...events]);
    const { version, position } = end;
    return { aggregate, version, position };
  }

  #ref(id: string) {
    return { type: this.#definition.type, id };
  }
}

const eventsOf = (history: AggregateHistory): object[] =>
  history.records.map((record) => record.event);

const ignore = (): void => undefined;
