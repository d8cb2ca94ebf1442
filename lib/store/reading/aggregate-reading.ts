import type { EventRecord } from '../../events/event-record.ts';
import type { EventSerializer } from '../../events/event-serializer.ts';
import { checkWholeNumber } from '../../input/whole-number.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import { checkAggregateRef } from '../check-aggregate-ref.ts';
import type { AggregateRange, EventStorage, StoredHistory } from '../event-storage.ts';
import { SnapshotAheadError } from '../store.errors.ts';
import {
  type AggregateHistory,
  type HistoryOptions,
  historyOptions,
  type Snapshot,
  type SnapshotOptions,
  snapshotOptions,
} from './aggregate-history.ts';
import { checkNoGap } from './check-no-gap.ts';
import type { AggregatePage } from './pages.ts';
import {
  type AggregateReadOptions,
  aggregateReadOptions,
  checkDirection,
  checkLimit,
} from './read-options.ts';
import { rememberReplay, Replay } from './replay.ts';
import { reviveEvents } from './revive-events.ts';
import { reviveSnapshot, type StoredSnapshot } from './revive-snapshot.ts';

type ManagerOf = (manager?: AggregateReadOptions['manager']) => AggregateRange['manager'];

/** Reads single aggregates of a store: pages of their events, their histories, their snapshots. */
export class AggregateReading {
  readonly #storage: EventStorage;
  readonly #serializer: EventSerializer;
  readonly #managerOf: ManagerOf;
  readonly #warn: (message: string, error?: unknown) => void;

  constructor(
    storage: EventStorage,
    serializer: EventSerializer,
    managerOf: ManagerOf,
    warn: (message: string, error?: unknown) => void,
  ) {
    this.#storage = storage;
    this.#serializer = serializer;
    this.#managerOf = managerOf;
    this.#warn = warn;
  }

  async page(
    ref: AggregateRef,
    after: number,
    options: AggregateReadOptions,
  ): Promise<AggregatePage> {
    const range = this.#rangeOf(after, options);
    const { version, events } = await this.#storage.readAggregate(checkAggregateRef(ref), range);
    return {
      version: events.at(-1)?.version ?? version,
      records: reviveEvents(this.#serializer, events),
    };
  }

  async *stream(
    ref: AggregateRef,
    after: number,
    options: AggregateReadOptions,
  ): AsyncGenerator<EventRecord> {
    const aggregate = checkAggregateRef(ref);
    let range = this.#rangeOf(after, options);
    for (;;) {
      const page = await this.#storage.readAggregate(aggregate, range);
      for (const record of reviveEvents(this.#serializer, page.events)) yield record;
      const last = page.events.at(-1)?.version;
      const end = range.direction === 'forward' ? page.version : page.removedVersion + 1;
      if (last === undefined || last === end) return;
      range = { ...range, after: last };
    }
  }

  async currentVersion(ref: AggregateRef): Promise<number> {
    const aggregate = checkAggregateRef(ref);
    const end = { after: Number.MAX_SAFE_INTEGER };
    return (await this.#storage.readHistory(aggregate, end, this.#managerOf())).version;
  }

  async history(ref: AggregateRef, given: HistoryOptions): Promise<AggregateHistory> {
    const aggregate = checkAggregateRef(ref);
    const options = historyOptions.take(given);
    const { after } = options;
    const manager = this.#managerOf(options.manager);
    if (after !== undefined) {
      return this.#historyAfter(aggregate, checkWholeNumber('after', after), manager);
    }

    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const stored = await this.#storage.readHistory(aggregate, { revision }, manager);
    const snapshot = this.#reviveSnapshot(aggregate, stored.snapshot, revision);
    if (snapshot === null && stored.snapshot?.revision === revision) {
      return this.#historyAfter(aggregate, 0, manager);
    }
    return this.#toHistory(aggregate, stored, snapshot?.version ?? stored.removedVersion, snapshot);
  }

  async snapshot(ref: AggregateRef, given: SnapshotOptions): Promise<Snapshot | null> {
    const aggregate = checkAggregateRef(ref);
    const options = snapshotOptions.take(given);
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const manager = this.#managerOf(options.manager);
    const stored = await this.#storage.readSnapshot(aggregate, manager);
    return this.#reviveSnapshot(aggregate, stored, revision);
  }

  async keepSnapshot(
    ref: AggregateRef,
    state: object,
    version: number,
    given: SnapshotOptions,
  ): Promise<void> {
    const aggregate = checkAggregateRef(ref);
    const options = snapshotOptions.take(given);
    checkWholeNumber('version', version, 1);
    const revision = checkWholeNumber('revision', options.revision ?? 1, 1);
    const snapshot = { version, revision, state: this.#serializer.serializeState(state) };
    const manager = this.#managerOf(options.manager);
    const current = await this.#storage.writeSnapshot(aggregate, snapshot, manager);
    if (version > current) throw new SnapshotAheadError(aggregate, version, current);
  }

  #rangeOf(after: number, given: AggregateReadOptions): AggregateRange {
    const options = aggregateReadOptions.take(given);
    return {
      after: checkWholeNumber('after', after),
      limit: checkLimit(options.limit),
      direction: checkDirection(options.direction),
      manager: this.#managerOf(options.manager),
    };
  }

  async #historyAfter(
    aggregate: AggregateRef,
    after: number,
    manager: AggregateRange['manager'],
  ): Promise<AggregateHistory> {
    const stored = await this.#storage.readHistory(aggregate, { after }, manager);
    return this.#toHistory(aggregate, stored, Math.max(after, stored.removedVersion), null);
  }

  /** `after` is the version after which the events continue. */
  #toHistory(
    aggregate: AggregateRef,
    stored: StoredHistory,
    after: number,
    snapshot: Snapshot | null,
  ): AggregateHistory {
    const { version, removedVersion, base, events } = stored;
    checkNoGap(aggregate, after, events, version);
    const position = events.at(-1)?.position ?? base?.position ?? 0;
    const records = reviveEvents(this.#serializer, events);
    return rememberReplay(
      { version, position, removedVersion, snapshot, records },
      new Replay(
        this.#serializer,
        { version: Math.min(after, version), eventId: base?.id ?? null },
        snapshot && stored.snapshot,
        events,
      ),
    );
  }

  #reviveSnapshot(
    aggregate: AggregateRef,
    stored: StoredSnapshot | null,
    revision: number,
  ): Snapshot | null {
    return reviveSnapshot(aggregate, stored, revision, this.#serializer, this.#warn);
  }
}
