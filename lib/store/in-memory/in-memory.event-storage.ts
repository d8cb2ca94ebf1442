import type { AggregateRef } from '../aggregate-ref.ts';
import type { AppendListener, AppendResult } from '../appending/append.ts';
import type { PreparedCall } from '../appending/prepare-append.ts';
import type {
  AggregateRange,
  EventStorage,
  HistoryStart,
  LogRange,
  StoredAggregate,
  StoredHistory,
  StoredLogPage,
} from '../event-storage.ts';
import type { LogHorizon } from '../reading/log-horizon.ts';
import { markOf } from '../reading/log-place.ts';
import type { StoredSnapshot } from '../reading/revive-snapshot.ts';
import { InMemoryLog, pageOf } from './in-memory.log.ts';

/** Keeps aggregates and events in memory, where no append is still open when another call reads. */
export class InMemoryEventStorage implements EventStorage {
  readonly #log = new InMemoryLog();
  readonly #clock: () => Date;
  #listener: AppendListener = () => undefined;
  #lastCall: Promise<unknown> = Promise.resolve();

  constructor(clock: () => Date = () => new Date()) {
    this.#clock = clock;
  }

  reportTo(listener: AppendListener): void {
    this.#listener = listener;
  }

  async append(call: PreparedCall): Promise<readonly AppendResult[]> {
    // Calls are applied in their order, even if a schema answers one of them late.
    const former = this.#lastCall;
    this.#lastCall = Promise.allSettled([former, call.appends]);
    await former;
    const appends = await call.appends;
    const recordedAt = this.#clock();
    const results = this.#log
      .write(appends, recordedAt)
      .map(({ version, position, stored, duplicate }, index): AppendResult => {
        const append = appends[index]!;
        if (duplicate) return append.repeated(version, position, stored);
        if (stored.length > 0) {
          const positions = stored.map((event) => event.position);
          return append.written(version, positions, recordedAt);
        }
        const current = this.#log.positionAt(append.aggregate, version);
        return { version, position: current, records: [], duplicate: false };
      });
    this.#listener(results.flatMap(({ records, duplicate }) => (duplicate ? [] : records)));
    return results;
  }

  async readLog({
    after,
    limit,
    direction,
    types,
    aggregateTypes,
  }: LogRange): Promise<StoredLogPage> {
    const typeSet = types && new Set(types);
    const aggregateTypeSet = aggregateTypes && new Set(aggregateTypes);
    const matching = this.#log.events.filter(
      ({ type, aggregate }) =>
        (typeSet?.has(type) ?? true) && (aggregateTypeSet?.has(aggregate.type) ?? true),
    );
    const events = pageOf(matching, 'position', after, limit, direction);
    const head = this.#log.lastPosition;
    const atEnd = events.length < limit || limit === 0;
    const last = events.at(-1)?.position ?? head;
    if (direction === 'backward') return { head, reached: last, atEnd, mark: null, events };
    const reached = atEnd ? head : last;
    const lastUpTo = this.#log.events.findLast((event) => event.position <= reached);
    const mark = lastUpTo ? markOf(lastUpTo) : null;
    return { head, reached, atEnd: reached >= head, mark, events };
  }

  /** Always true, because a log in memory cannot be replaced. */
  async holds(): Promise<boolean> {
    return true;
  }

  async horizon(): Promise<LogHorizon> {
    const position = this.#log.lastPosition;
    return { position, lastPosition: position, openAppends: [] };
  }

  async readAggregate(ref: AggregateRef, range: AggregateRange): Promise<StoredAggregate> {
    const { version, removedVersion, events } = this.#log.aggregate(ref);
    const page = pageOf(events, 'version', range.after, range.limit, range.direction);
    return { version, removedVersion, events: page };
  }

  async readHistory(ref: AggregateRef, from: HistoryStart): Promise<StoredHistory> {
    const { version, removedVersion, events, snapshot } = this.#log.aggregate(ref);
    const isAfter = 'after' in from;
    const usable = !isAfter && snapshot?.revision === from.revision ? snapshot.version : 0;
    const start = Math.min(isAfter ? from.after : usable, version);
    return {
      version,
      removedVersion,
      base: events.find((event) => event.version === start) ?? null,
      events: events.filter((event) => event.version > start),
      snapshot: isAfter ? null : snapshot,
    };
  }

  async readSnapshot(ref: AggregateRef): Promise<StoredSnapshot | null> {
    return this.#log.aggregate(ref).snapshot;
  }

  async writeSnapshot(ref: AggregateRef, snapshot: StoredSnapshot): Promise<number> {
    const row = this.#log.aggregate(ref);
    const { version } = snapshot;
    const isNewer = version > row.removedVersion && version >= (row.snapshot?.version ?? 0);
    if (isNewer && version <= row.version) row.snapshot = snapshot;
    return row.version;
  }

  async removeEvents(ref: AggregateRef): Promise<number> {
    return this.#log.remove(ref);
  }
}
