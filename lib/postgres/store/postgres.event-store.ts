import type { LogHorizon } from '../../store/reading/log-horizon.ts';
import { checkWholeNumber, show } from '../../input/whole-number.ts';
import { setImmediate } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventData } from '../../events/event-data.ts';
import type { EventRegistry } from '../../events/event-registry.ts';
import type { EventSerializer, StoredEvent } from '../../events/event-serializer.ts';
import type { EventRecord } from '../../events/event-record.ts';
import { AppendListeners } from '../../store/appending/append-listeners.ts';
import type { AggregateRef } from '../../store/aggregate-ref.ts';
import { noteAppended } from '../../store/appending/track-appends.ts';
import { checkAggregateRef } from '../../store/check-aggregate-ref.ts';
import { checkNoGap } from '../../store/reading/check-no-gap.ts';
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
} from '../../store/event-store.ts';
import { historyOptions, snapshotOptions } from '../../store/reading/history-options.ts';
import {
  appendAllOptions,
  appendOptions,
  checkAppends,
} from '../../store/appending/prepare-append.ts';
import {
  aggregateReadOptions,
  checkAggregateTypes,
  checkDirection,
  checkLimit,
  logReadOptions,
  type AggregateReadOptions,
  type ReadOptions,
} from '../../store/reading/read-options.ts';
import { rememberReplay, Replay } from '../../store/reading/replay.ts';
import { reviveSnapshot, type StoredSnapshot } from '../../store/reading/revive-snapshot.ts';
import type { LogPlace } from '../../store/reading/log-place.ts';
import type { LogReader, LogReadOptions, LogStep } from '../../store/reading/log-reader.ts';
import { DurabilityUncertainError } from '../connection/errors/database.errors.ts';
import {
  NestedTransactionError,
  RemovalRefusedError,
  SnapshotAheadError,
} from '../../store/store.errors.ts';
import {
  checkTransactionOptions,
  type TransactionOptions,
} from '../../store/transaction-options.ts';
import { noteUnreadable } from '../../store/reading/unreadable-event.ts';
import type { Consumer } from '../../subscriptions/consumer.ts';
import { AppendCall } from './appending/append-call.ts';
import { AppendQueue } from './appending/append-queue.ts';
import { Appender } from './appending/appender.ts';
import { CallerTransactions } from './appending/commit-reports.ts';
import { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import {
  type AggregateRange,
  EventReader,
  type LogRange,
  pageBytes,
  type StoredAggregate,
  type StoredHistory,
  type StoredLogPage,
} from './reading/event-reader.ts';
import { InlineProjections } from '../projections/inline-projections.ts';
import { translated, translateReadError } from '../connection/errors/translate-error.ts';
import { repeatedTransaction } from '../connection/transactions/repeated-transaction.ts';
import { SnapshotTable } from './reading/snapshot-table.ts';
import { durableCommit } from '../schema/fragments/durable-commit.sql.ts';

export interface PostgresEventStoreOptions {
  readonly schema: string;
  readonly maxAppendEvents: number;
  readonly maxQueuedAppends: number;
  readonly lockTimeoutMs: number;
  readonly allowRemoval: boolean;
  readonly preparedStatements: boolean;
  /** The manager of the ambient transaction, if one is open. */
  readonly transactionManager: () => EntityManager | undefined;
  /** Called for what must not fail a call: unreadable snapshots, listeners that throw. */
  readonly onWarning: (message: string, error?: unknown) => void;
}

const maxInteger = 2 ** 31 - 1;

/** The event store in PostgreSQL: it appends through one function of its schema, and reads by statement. */
export class PostgresEventStore extends EventStore implements LogReader {
  readonly #registry: EventRegistry;
  readonly #serializer: EventSerializer;
  readonly #options: PostgresEventStoreOptions;
  readonly #database: Database;
  readonly #reader: EventReader;
  readonly #snapshots: SnapshotTable;
  readonly #remove: Statement;
  readonly #removeDurably: Statement;
  readonly #listeners: AppendListeners;
  readonly #callerTransactions: CallerTransactions;
  readonly #appender: Appender;
  readonly #inline: InlineProjections;

  constructor(
    dataSource: DataSource,
    registry: EventRegistry,
    serializer: EventSerializer,
    options: PostgresEventStoreOptions,
  ) {
    super();
    const { schema, onWarning } = options;
    this.#registry = registry;
    this.#serializer = serializer;
    this.#options = options;
    this.#listeners = new AppendListeners((error) =>
      onWarning('A listener of appended events threw; the append has succeeded.', error),
    );

    this.#database = new Database(dataSource, options);
    this.#reader = new EventReader(this.#database, schema);
    this.#snapshots = new SnapshotTable(this.#database, schema);
    const remove = `SELECT "${schema}".remove_events($1, $2) AS removed`;
    this.#remove = new Statement(remove);
    this.#removeDurably = new Statement(`${remove} FROM ${durableCommit}`);
    this.#callerTransactions = new CallerTransactions(
      this.#database,
      schema,
      (records) => this.#listeners.notify(records),
      (error) =>
        onWarning('Events of a transaction that has committed could not be reported.', error),
    );
    this.#inline = new InlineProjections(this.#database, schema);
    const call = new AppendCall(this.#database, schema);
    // Lanes wait with a connection each; most of the pool stays free for other appends.
    const maxLanes = Math.max(1, Math.floor(this.#database.connections.poolSize / 3));
    this.#appender = new Appender(
      serializer,
      call,
      new AppendQueue(call, { ...options, maxLanes }),
      this.#reader,
      this.#callerTransactions,
      this.#inline,
      options,
    );
  }

  override async append(
    aggregate: AggregateRef,
    events: readonly (object | EventData)[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const { manager, ...append } = appendOptions.take(options);
    const result = await this.#appender.append(
      { ...append, aggregate, events },
      this.transactionOf(manager),
    );
    noteAppended(result.position);
    return result;
  }

  override async appendAll(
    appends: readonly Append[],
    options: { readonly manager?: EntityManager } = {},
  ): Promise<readonly AppendResult[]> {
    const { manager } = appendAllOptions.take(options);
    checkAppends(appends);
    const results = await this.#appender.appendAll(appends, this.transactionOf(manager));
    for (const { position } of results) noteAppended(position);
    return results;
  }

  override async fetch(after = 0, options: ReadOptions = {}): Promise<LogPage> {
    const range = this.#rangeOf(after, options);
    const isForward = range.direction === 'forward';
    let page = await reading(this.#reader.log(range));
    const events = [...page.events];
    let bytes = bytesOf(events);
    // One step passes over a bounded number of events, wanted or not: what the filter lets through may
    // come much later.
    while (!page.atEnd && events.length < range.limit && bytes < pageBytes) {
      const limit = range.limit - events.length;
      page = await reading(this.#reader.log({ ...range, after: page.reached, limit }));
      events.push(...page.events);
      bytes += bytesOf(page.events);
    }
    const last = events.at(-1)?.position ?? page.head;
    return { position: isForward ? page.reached : last, records: this.#revive(events) };
  }

  /** The next page is read while one is decoded and worked on. */
  override async *stream(after = 0, options: ReadOptions = {}): AsyncGenerator<EventRecord> {
    const range = this.#rangeOf(after, options);
    // Not in a transaction, which the work may use.
    const readsAhead = range.manager === undefined;
    const next = ({ reached, mark }: StoredLogPage): Promise<StoredLogPage> =>
      reading(this.#reader.log({ ...range, after: reached, mark }));
    let page = await reading(this.#reader.log(range));
    while (!page.atEnd) {
      const ahead = readsAhead ? next(page) : undefined;
      // A caller that stops early is not interested.
      ahead?.catch(ignore);
      // Lets the request leave: a caller that takes one record after the other gives nothing else a turn.
      if (ahead) await setImmediate();
      for (const record of this.#revive(page.events)) yield record;
      page = await (ahead ?? next(page));
    }
    for (const record of this.#revive(page.events)) yield record;
  }

  async readOn(
    after: LogPlace,
    { limit, types, aggregateTypes }: LogReadOptions,
  ): Promise<LogStep> {
    const { position, mark } = after;
    const page = await reading(
      this.#reader.log({
        after: position,
        mark,
        limit,
        types,
        aggregateTypes,
        direction: 'forward',
      }),
    );
    return {
      position: page.reached,
      mark: page.mark,
      atEnd: page.atEnd,
      bytes: bytesOf(page.events),
      records: this.#revive(page.events),
    };
  }

  async endOfLog(): Promise<LogPlace> {
    const { head, mark } = await reading(
      this.#reader.log({ after: 0, limit: 0, direction: 'forward' }),
    );
    return { position: head, mark };
  }

  async holds({ mark }: LogPlace): Promise<boolean> {
    return mark === null || reading(this.#reader.holds(mark));
  }

  #rangeOf(after: number, given: ReadOptions): LogRange {
    const options = logReadOptions.take(given);
    const { types } = options;
    return {
      after: checkWholeNumber('after', after),
      limit: checkLimit(options.limit),
      direction: checkDirection(options.direction),
      types: types && this.#registry.storedNames(types),
      aggregateTypes: checkAggregateTypes(options.aggregateTypes),
      manager: this.transactionOf(options.manager),
    };
  }

  override async fetchByAggregate(
    ref: AggregateRef,
    after = 0,
    given: AggregateReadOptions = {},
  ): Promise<AggregatePage> {
    const range = this.#aggregateRangeOf(after, given);
    const { version, events } = await reading(
      this.#reader.aggregatePage(checkAggregateRef(ref), range),
    );
    return { version: events.at(-1)?.version ?? version, records: this.#revive(events) };
  }

  override async *streamByAggregate(
    ref: AggregateRef,
    after = 0,
    given: AggregateReadOptions = {},
  ): AsyncGenerator<EventRecord> {
    const aggregate = checkAggregateRef(ref);
    let range = this.#aggregateRangeOf(after, given);
    for (;;) {
      const page = await reading(this.#reader.aggregatePage(aggregate, range));
      for (const record of this.#revive(page.events)) yield record;
      const last = page.events.at(-1)?.version;
      const end = range.direction === 'forward' ? page.version : page.removedVersion + 1;
      if (last === undefined || last === end) return;
      range = { ...range, after: last };
    }
  }

  #aggregateRangeOf(after: number, given: AggregateReadOptions): AggregateRange {
    const options = aggregateReadOptions.take(given);
    return {
      after: checkWholeNumber('after', after),
      limit: checkLimit(options.limit),
      direction: checkDirection(options.direction),
      manager: this.transactionOf(options.manager),
    };
  }

  override async fetchHistory(
    ref: AggregateRef,
    given: HistoryOptions = {},
  ): Promise<AggregateHistory> {
    const aggregate = checkAggregateRef(ref);
    const options = historyOptions.take(given);
    const { after } = options;
    if (after !== undefined)
      return this.#historyAfter(aggregate, checkWholeNumber('after', after), options);

    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const manager = this.transactionOf(options.manager);
    const stored = await reading(this.#reader.history(aggregate, revision, manager));
    const snapshot = this.#reviveSnapshot(aggregate, stored.snapshot, revision);
    if (snapshot === null && stored.snapshot?.revision === revision) {
      return this.#historyAfter(aggregate, 0, options);
    }
    const base = snapshot?.version ?? stored.removedVersion;
    return this.#toHistory(aggregate, stored, base, snapshot);
  }

  override async getSnapshot(
    ref: AggregateRef,
    given: SnapshotOptions = {},
  ): Promise<Snapshot | null> {
    const aggregate = checkAggregateRef(ref);
    const options = snapshotOptions.take(given);
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const manager = this.transactionOf(options.manager);
    const stored = await reading(this.#snapshots.read(aggregate, manager));
    return this.#reviveSnapshot(aggregate, stored, revision);
  }

  override async snapshot(
    ref: AggregateRef,
    state: object,
    version: number,
    given: SnapshotOptions = {},
  ): Promise<void> {
    const aggregate = checkAggregateRef(ref);
    const options = snapshotOptions.take(given);
    checkWholeNumber('version', version, 1);
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const snapshot = { version, revision, state: this.#serializer.serializeState(state) };
    const manager = this.transactionOf(options.manager);
    const current = await translated(this.#snapshots.write(aggregate, snapshot, manager));
    if (version > current) throw new SnapshotAheadError(aggregate, version, current);
  }

  override async currentPosition(): Promise<number> {
    const manager = this.transactionOf();
    const end = { after: 0, limit: 0, direction: 'forward', manager } as const;
    return (await reading(this.#reader.log(end))).head;
  }

  override horizon(): Promise<LogHorizon> {
    return reading(this.#reader.horizon(this.transactionOf()));
  }

  override async currentVersion(ref: AggregateRef): Promise<number> {
    const aggregate = checkAggregateRef(ref);
    const manager = this.transactionOf();
    return (await reading(this.#reader.aggregate(aggregate, 0, 0, manager))).version;
  }

  override async removeEvents(ref: AggregateRef): Promise<number> {
    const aggregate = checkAggregateRef(ref);
    if (!this.#options.allowRemoval) throw new RemovalRefusedError(aggregate);
    const manager = this.transactionOf();
    const { value: rows, isReplicated } = await translated(
      this.#database.commit<{ removed: number }>(
        manager ? this.#remove : this.#removeDurably,
        [aggregate.type, aggregate.id],
        manager,
      ),
    );
    if (!isReplicated) throw new DurabilityUncertainError([aggregate]);
    return rows[0]!.removed;
  }

  override async transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    if (typeof work !== 'function') {
      throw new TypeError(`transaction: the work must be a function, got ${show(work)}.`);
    }
    const checked = checkTransactionOptions(options);
    if (this.transactionOf()) throw new NestedTransactionError();
    return repeatedTransaction(this.#database, work, checked);
  }

  override onRollback(manager: EntityManager, { records }: AppendResult, undo: () => void): void {
    this.#callerTransactions.onRollback(manager, records, undo);
  }

  override onAppended(listener: AppendListener): () => void {
    return this.#listeners.add(listener);
  }

  override transactionOf(manager?: EntityManager): EntityManager | undefined {
    if (manager) return manager;
    const ambient = this.#options.transactionManager();
    const queryRunner = ambient?.queryRunner;
    return queryRunner?.isTransactionActive && !queryRunner.isReleased ? ambient : undefined;
  }

  /** From now on, appends apply these projections in their own transaction. */
  applyInline(projections: readonly Consumer[]): void {
    this.#inline.use(projections);
  }

  /** Resolves once all appends taken so far are settled. */
  async drain(): Promise<void> {
    await this.#appender.drain();
  }

  /** Takes no more appends and resolves once all calls that were begun are settled. */
  async close(): Promise<void> {
    await this.#appender.close();
    await this.#database.drain();
    this.#callerTransactions.close();
  }

  async #historyAfter(
    aggregate: AggregateRef,
    after: number,
    options: HistoryOptions,
  ): Promise<AggregateHistory> {
    const manager = this.transactionOf(options.manager);
    const stored = await reading(this.#reader.aggregate(aggregate, after, maxInteger, manager));
    return this.#toHistory(aggregate, stored, Math.max(after, stored.removedVersion), null);
  }

  /** `after` is the version that the events continue. */
  #toHistory(
    aggregate: AggregateRef,
    stored: StoredAggregate & Partial<StoredHistory>,
    after: number,
    snapshot: Snapshot | null,
  ): AggregateHistory {
    const { version, removedVersion, base, events } = stored;
    checkNoGap(aggregate, after, events, version);
    const position = events.at(-1)?.position ?? base?.position ?? 0;
    return rememberReplay(
      { version, position, removedVersion, snapshot, records: this.#revive(events) },
      new Replay(
        this.#serializer,
        { version: Math.min(after, version), eventId: base?.id ?? null },
        (snapshot && stored.snapshot) ?? null,
        events,
      ),
    );
  }

  #revive(events: readonly StoredEvent[]): EventRecord[] {
    // Not flatMap, which takes a tenth of the time of reading.
    const records: EventRecord[] = [];
    for (const event of events) records.push(...this.#reviveOne(event));
    return records;
  }

  #reviveOne(event: StoredEvent): EventRecord[] {
    try {
      return this.#serializer.deserialize(event);
    } catch (error) {
      noteUnreadable(error, event);
      throw error;
    }
  }

  #reviveSnapshot(
    aggregate: AggregateRef,
    stored: StoredSnapshot | null,
    revision: number,
  ): Snapshot | null {
    return reviveSnapshot(aggregate, stored, revision, this.#serializer, this.#options.onWarning);
  }
}

/** How much was read, by which pages are bounded; characters will do. */
function bytesOf(events: readonly StoredEvent[]): number {
  let bytes = 0;
  for (const { payload, metadata, binary } of events) {
    bytes += payload.length + metadata.length + (binary?.length ?? 0);
  }
  return bytes;
}

const reading = <T>(work: Promise<T>): Promise<T> => translated(work, translateReadError);
const ignore = (): void => undefined;
