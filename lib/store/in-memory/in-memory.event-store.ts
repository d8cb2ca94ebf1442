import type { LogHorizon } from '../reading/log-horizon.ts';
import { checkWholeNumber } from '../../input/whole-number.ts';
import type { EntityManager } from 'typeorm';
import type { EventClass } from '../../events/domain-event.decorator.ts';
import type { EventCodec } from '../../events/payload/event-codec.ts';
import type { EventData } from '../../events/event-data.ts';
import type { EventRecord } from '../../events/event-record.ts';
import { EventRegistry } from '../../events/event-registry.ts';
import { EventSerializer, type StoredEvent } from '../../events/event-serializer.ts';
import { JsonCodec } from '../../events/payload/json.codec.ts';
import { KnownOptions } from '../../input/known-options.ts';
import type { Upcaster } from '../../events/upcaster.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import { checkAggregateRef } from '../check-aggregate-ref.ts';
import { AppendListeners } from '../appending/append-listeners.ts';
import { checkNoGap } from '../reading/check-no-gap.ts';
import { checkContent } from '../appending/event-places.ts';
import {
  EventStore,
  type AggregateHistory,
  type AggregatePage,
  type Append,
  type AppendListener,
  type AppendOptions,
  type AppendResult,
  type HistoryOptions,
  type LogPage,
  type Snapshot,
  type SnapshotOptions,
} from '../event-store.ts';
import { InMemoryLog, pageOf } from './in-memory.log.ts';
import { historyOptions, snapshotOptions } from '../reading/history-options.ts';
import { type LogPlace, markOf } from '../reading/log-place.ts';
import type { LogReader, LogReadOptions, LogStep } from '../reading/log-reader.ts';
import {
  appendAllOptions,
  appendOptions,
  checkAppends,
  prepareAppends,
} from '../appending/prepare-append.ts';
import {
  aggregateReadOptions,
  checkAggregateTypes,
  checkLimit,
  logReadOptions,
  type AggregateReadOptions,
  type ReadOptions,
} from '../reading/read-options.ts';
import { rememberReplay, Replay } from '../reading/replay.ts';
import { reviveSnapshot } from '../reading/revive-snapshot.ts';
import {
  RemovalRefusedError,
  SnapshotAheadError,
  UnsupportedFeatureError,
} from '../store.errors.ts';
import { noteUnreadable } from '../reading/unreadable-event.ts';

export interface InMemoryEventStoreOptions {
  /** Event classes to register. @default [] */
  readonly events?: readonly EventClass[];
  /** Upcasters to register. @default [] */
  readonly upcasters?: readonly Upcaster[];
  /** @default new JsonCodec() */
  readonly codec?: EventCodec;
  /** The most bytes that one event may take. @default 1048576 */
  readonly maxEventBytes?: number;
  /** How deep payloads, metadata and states may nest. @default 200 */
  readonly maxDepth?: number;
  /** The most events that one call of `append` or `appendAll` may have. @default 10000 */
  readonly maxAppendEvents?: number;
  /** Whether `removeEvents` may remove anything. @default false */
  readonly allowRemoval?: boolean;
  /** Returns the time of an append. @default () => new Date() */
  readonly clock?: () => Date;
  /** Called for a snapshot that was left out and for a listener that threw. @default a no-op */
  readonly onWarning?: (message: string, error?: unknown) => void;
}

const storeOptions = new KnownOptions<InMemoryEventStoreOptions>('InMemoryEventStore', {
  events: true,
  upcasters: true,
  codec: true,
  maxEventBytes: true,
  maxDepth: true,
  maxAppendEvents: true,
  allowRemoval: true,
  clock: true,
  onWarning: true,
});

/**
 * Keeps events in the memory of this process, for tests and first steps.
 *
 * It stores serialized events and revives them on every read, so a test sees what production would.
 * It has no transactions: `manager` is refused. Everything is gone when the process ends.
 *
 * @example
 * const store = new InMemoryEventStore({ events: [AccountOpened] });
 */
export class InMemoryEventStore extends EventStore implements LogReader {
  readonly #registry: EventRegistry;
  readonly #serializer: EventSerializer;
  readonly #log = new InMemoryLog();
  #lastCall: Promise<unknown> = Promise.resolve();
  readonly #listeners: AppendListeners;
  readonly #maxAppendEvents: number;
  readonly #allowRemoval: boolean;
  readonly #clock: () => Date;
  readonly #warn: (message: string, error?: unknown) => void;

  /**
   * A `registry` is for the testing kit of this library, which checks it when it has filled it.
   *
   * @throws TypeError if `events` or `upcasters` cannot be registered; it names all problems.
   */
  constructor(given: InMemoryEventStoreOptions = {}, registry?: EventRegistry) {
    super();
    const options = storeOptions.take(given);
    this.#registry = registry ?? new EventRegistry();
    for (const eventClass of options.events ?? []) this.#registry.register(eventClass);
    for (const upcaster of options.upcasters ?? []) this.#registry.registerUpcaster(upcaster);
    const { problems } = this.#registry;
    if (!registry && problems.length > 0) throw new TypeError(problems.join('\n'));

    this.#serializer = new EventSerializer(
      this.#registry,
      options.codec ?? new JsonCodec(),
      options,
    );
    this.#maxAppendEvents = options.maxAppendEvents ?? 10_000;
    this.#allowRemoval = options.allowRemoval ?? false;
    this.#clock = options.clock ?? (() => new Date());
    this.#warn = options.onWarning ?? (() => undefined);
    this.#listeners = new AppendListeners((error) =>
      this.#warn('A listener threw after an append; the append has succeeded.', error),
    );
  }

  async append(
    aggregate: AggregateRef,
    events: readonly (object | EventData)[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const { manager, ...append } = appendOptions.take(options);
    const inTransaction = manager && { manager };
    const [result] = await this.appendAll([{ ...append, aggregate, events }], inTransaction);
    return result!;
  }

  async appendAll(
    appends: readonly Append[],
    options: { readonly manager?: EntityManager } = {},
  ): Promise<readonly AppendResult[]> {
    refuseManager(appendAllOptions.take(options).manager);
    checkAppends(appends);
    const call = prepareAppends(appends, this.#serializer, {
      schema: 'event_store',
      maxAppendEvents: this.#maxAppendEvents,
    });
    // Calls are applied in their order, though a schema may answer one of them late.
    const former = this.#lastCall;
    this.#lastCall = Promise.allSettled([former, call.appends]);
    await former;
    const prepared = await call.appends;
    const placements = this.#log.write(prepared, this.#clock());
    for (const [index, { version, stored, duplicate }] of placements.entries()) {
      const append = prepared[index]!;
      if (duplicate && !append.idAt) checkContent(append, version, stored, this.#serializer);
    }
    const results = placements.map(({ version, position, stored, duplicate }, index) => ({
      version,
      // Of an empty append, that of the aggregate's last event.
      position: position || this.#log.positionAt(prepared[index]!.aggregate, version),
      records: duplicate
        ? this.#revive(stored)
        : stored.map((event, place) => {
            const { aggregate, events } = prepared[index]!;
            return this.#serializer.recordWritten(events[place]!, { ...event, aggregate });
          }),
      duplicate,
    }));
    this.#listeners.notify(results.flatMap(({ records, duplicate }) => (duplicate ? [] : records)));
    return results;
  }

  async fetch(after = 0, given: ReadOptions = {}): Promise<LogPage> {
    const options = logReadOptions.take(given);
    refuseManager(options.manager);
    checkWholeNumber('after', after);
    const types = options.types && new Set(this.#registry.storedNames(options.types));
    const filter = checkAggregateTypes(options.aggregateTypes);
    const aggregateTypes = filter && new Set(filter);
    const matching = this.#log.events.filter(
      ({ type, aggregate }) =>
        (types?.has(type) ?? true) && (aggregateTypes?.has(aggregate.type) ?? true),
    );
    const limit = checkLimit(options.limit);
    const stored = pageOf(matching, 'position', after, limit, options.direction);
    const isLast = options.direction !== 'backward' && stored.length < limit;
    return {
      position: (isLast ? undefined : stored.at(-1)?.position) ?? this.#log.lastPosition,
      records: this.#revive(stored),
    };
  }

  /** Nobody exchanges a log in memory: the mark of a place need not be looked for. */
  async readOn(after: LogPlace, options: LogReadOptions): Promise<LogStep> {
    const { position, records } = await this.fetch(after.position, options);
    const read = this.#log.events.filter(
      (event) => event.position > after.position && event.position <= position,
    );
    return {
      ...this.#placeUpTo(position),
      records,
      atEnd: position >= this.#log.lastPosition,
      bytes: read.reduce((sum, { payload, metadata }) => sum + payload.length + metadata.length, 0),
    };
  }

  async endOfLog(): Promise<LogPlace> {
    return this.#placeUpTo(this.#log.lastPosition);
  }

  async holds(): Promise<boolean> {
    return true;
  }

  async fetchByAggregate(
    aggregate: AggregateRef,
    after = 0,
    given: AggregateReadOptions = {},
  ): Promise<AggregatePage> {
    const options = aggregateReadOptions.take(given);
    refuseManager(options.manager);
    checkWholeNumber('after', after);
    const row = this.#rowOf(aggregate);
    const stored = pageOf(
      row.events,
      'version',
      after,
      checkLimit(options.limit),
      options.direction,
    );
    return { version: stored.at(-1)?.version ?? row.version, records: this.#revive(stored) };
  }

  async fetchHistory(ref: AggregateRef, given: HistoryOptions = {}): Promise<AggregateHistory> {
    const aggregate = checkAggregateRef(ref);
    const options = historyOptions.take(given);
    refuseManager(options.manager);
    const { version, removedVersion, events } = this.#rowOf(aggregate);
    if (options.after !== undefined) checkWholeNumber('after', options.after);
    const snapshot = options.after === undefined ? this.#usableSnapshot(aggregate, options) : null;
    const after = Math.max(snapshot?.version ?? options.after ?? 0, removedVersion);
    const stored = events.filter((event) => event.version > after);
    checkNoGap(aggregate, after, stored, version);
    const position = this.#log.positionAt(aggregate, version);
    const base = Math.min(after, version);
    const eventId = events.find((event) => event.version === base)?.id ?? null;
    return rememberReplay(
      { version, position, removedVersion, snapshot, records: this.#revive(stored) },
      new Replay(
        this.#serializer,
        { version: base, eventId },
        snapshot && this.#rowOf(aggregate).snapshot,
        stored,
      ),
    );
  }

  async getSnapshot(ref: AggregateRef, given: SnapshotOptions = {}): Promise<Snapshot | null> {
    const options = snapshotOptions.take(given);
    refuseManager(options.manager);
    return this.#usableSnapshot(checkAggregateRef(ref), options);
  }

  async snapshot(
    ref: AggregateRef,
    state: object,
    version: number,
    given: SnapshotOptions = {},
  ): Promise<void> {
    const aggregate = checkAggregateRef(ref);
    const options = snapshotOptions.take(given);
    refuseManager(options.manager);
    checkWholeNumber('version', version, 1);
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const row = this.#rowOf(aggregate);
    const encoded = this.#serializer.serializeState(state);
    if (version > row.version) throw new SnapshotAheadError(aggregate, version, row.version);
    if (version <= row.removedVersion || version < (row.snapshot?.version ?? 0)) return;
    row.snapshot = { version, revision, state: encoded };
  }

  async currentPosition(): Promise<number> {
    return this.#log.lastPosition;
  }

  async horizon(): Promise<LogHorizon> {
    const position = this.#log.lastPosition;
    return { position, lastPosition: position, openAppends: [] };
  }

  async currentVersion(aggregate: AggregateRef): Promise<number> {
    return this.#rowOf(aggregate).version;
  }

  async removeEvents(ref: AggregateRef): Promise<number> {
    const aggregate = checkAggregateRef(ref);
    if (!this.#allowRemoval) throw new RemovalRefusedError(aggregate);
    return this.#log.remove(aggregate);
  }

  async transaction(): Promise<never> {
    throw new UnsupportedFeatureError('transactions');
  }

  onAppended(listener: AppendListener): () => void {
    return this.#listeners.add(listener);
  }

  #placeUpTo(position: number): LogPlace {
    const last = this.#log.events.findLast((event) => event.position <= position);
    return { position, mark: last ? markOf(last) : null };
  }

  #rowOf(aggregate: AggregateRef) {
    return this.#log.aggregate(checkAggregateRef(aggregate));
  }

  #usableSnapshot(aggregate: AggregateRef, options: SnapshotOptions): Snapshot | null {
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const { snapshot } = this.#rowOf(aggregate);
    return reviveSnapshot(aggregate, snapshot, revision, this.#serializer, this.#warn);
  }

  #revive(stored: readonly StoredEvent[]): EventRecord[] {
    return stored.flatMap((event) => {
      try {
        return this.#serializer.deserialize(event);
      } catch (error) {
        noteUnreadable(error, event);
        throw error;
      }
    });
  }
}

function refuseManager(manager: EntityManager | undefined): void {
  if (manager !== undefined) throw new UnsupportedFeatureError('transactions');
}
