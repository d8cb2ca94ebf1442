import type { LogHorizon } from '../../../store/reading/log-horizon.ts';
import type { EntityManager } from 'typeorm';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import { type LogMark, markOf } from '../../../store/reading/log-place.ts';
import { LogDivergedError } from '../../../store/store.errors.ts';
import type { EventPlace } from '../../../store/appending/event-places.ts';
import {
  type AggregateRange,
  type LogRange,
  pageBytes,
  type StoredAggregate,
  type StoredHistory,
  type StoredLogPage,
} from '../../../store/event-storage.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { isTimeLimit } from '../../connection/errors/translate-error.ts';
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';
import {
  aggregateOf,
  type AggregateRow,
  type EventRow,
  type HistoryRow,
  isEvent,
  type LogPageRow,
  type LogRow,
  type StoredEvents,
  toAggregate,
  toStoredEvent,
} from './event-rows.ts';
import { readAggregate, readHistory } from './read-aggregate.sql.ts';
import { pageOfAggregate } from '../../schema/functions/read-aggregate-page.sql.ts';
import { holdsMark } from '../../schema/fragments/log-mark.sql.ts';
import { readHorizon } from './read-horizon.sql.ts';
import { readPlaces } from './read-places.sql.ts';

interface PlaceRow {
  event_id: string;
  aggregate_type: string;
  aggregate_id: string;
  version: number;
  position: number;
  removed: boolean;
}

interface HorizonRow {
  last: number;
  registered: number | null;
  pid: number | null;
  application_name: string | null;
  role: string | null;
  classid: number | null;
  objid: number | null;
  since: number | null;
}

/** A filtered page ends after this many positions, however many events match. */
const scannedPositions = 10_000;
/** Small enough to read one event at a time. */
const leastEffort = 1 / 16_384;

const maxInteger = 2 ** 31 - 1;

/** Reads stored events: the whole log up to its horizon, or one aggregate; one statement each. */
export class EventReader {
  readonly #database: Database;
  readonly #log: Statement;
  readonly #holds: Statement;
  readonly #aggregate: Statement;
  readonly #aggregatePage: Statement;
  readonly #history: Statement;
  readonly #horizon: Statement;
  readonly #places: Statement;
  /** The fraction of a whole page to read at once; lower while a time limit cancels whole pages. */
  #effort = 1;

  constructor(database: Database, schema: string) {
    this.#database = database;
    const parameters = Array.from({ length: 12 }, (_, index) => `$${index + 1}`);
    this.#log = new Statement(`SELECT * FROM "${schema}".read_log(${parameters.join(', ')})`);
    this.#holds = new Statement(holdsMark(schema));
    this.#aggregate = new Statement(readAggregate(schema));
    this.#aggregatePage = new Statement(pageOfAggregate(schema));
    this.#history = new Statement(readHistory(schema));
    this.#horizon = new Statement(readHorizon(schema));
    this.#places = new Statement(readPlaces(schema));
  }

  /**
   * Reads one page of the log. If a time limit of the database cancels the read, it reads again in
   * smaller pieces, except in a caller's transaction, which is then aborted.
   *
   * @throws LogDivergedError if the log no longer holds the event of `mark`.
   */
  async log(range: LogRange): Promise<StoredLogPage> {
    for (;;) {
      const effort = this.#effort;
      try {
        const page = await this.#readLog(range, effort);
        if (this.#effort === effort && effort < 1) {
          this.#effort = Math.min(1, effort * 1.25);
        }
        return page;
      } catch (error) {
        if (range.manager || !isTimeLimit(error) || effort <= leastEffort) throw error;
        this.#effort = Math.max(leastEffort, effort / 4);
      }
    }
  }

  async #readLog(range: LogRange, effort: number): Promise<StoredLogPage> {
    const { after, limit, types, aggregateTypes, direction, manager, mark } = range;
    const rows = await this.#database.read<LogRow>(
      this.#log,
      [
        after,
        Math.ceil(limit * effort),
        types,
        aggregateTypes,
        direction === 'backward',
        Math.ceil(scannedPositions * effort),
        Math.ceil(pageBytes * effort),
        mark?.position,
        mark?.id,
        mark?.aggregate.type,
        mark?.aggregate.id,
        mark?.version,
      ],
      manager,
    );
    const page = rows.pop() as LogPageRow;
    const events = rows as (LogRow & EventRow)[];
    if (page.diverged) throw new LogDivergedError(mark!.position);
    return {
      head: page.head,
      reached: page.reached,
      atEnd: page.at_end,
      mark:
        page.event_id !== null && isEvent(page)
          ? markOf({ ...page, id: page.event_id, aggregate: aggregateOf(page) })
          : null,
      events: events.map((row) => toStoredEvent(row, aggregateOf(row))),
    };
  }

  /** Returns whether the log still holds an event, or held it until it was removed. */
  async holds({ position, id, aggregate, version }: LogMark): Promise<boolean> {
    const values = [position, id, aggregate.type, aggregate.id, version];
    const rows = await this.#database.read<{ holds: boolean }>(this.#holds, values);
    return rows[0]!.holds;
  }

  /** Returns how far the log can be read now, and the appends in flight that limit it. */
  async horizon(manager?: EntityManager): Promise<LogHorizon> {
    const rows = await this.#database.read<HorizonRow>(this.#horizon, [], manager);
    const lastPosition = rows[0]!.last;
    const openAppends = rows.flatMap(
      ({ registered, pid, application_name, role, classid, objid, since }) =>
        registered === null
          ? []
          : {
              pid,
              applicationName: application_name,
              role,
              lock: { classid: classid!, objid: objid! },
              since: since === null ? null : timeOf(since),
              position: registered,
            },
    );
    return { position: openAppends[0]?.position ?? lastPosition, lastPosition, openAppends };
  }

  /** Returns the places where the events of these ids are, or were before they were removed. */
  async places(ids: readonly string[], manager?: EntityManager): Promise<EventPlace[]> {
    const rows = await this.#database.query<PlaceRow>(this.#places, [ids], manager);
    return rows.map(
      ({ event_id: id, aggregate_type, aggregate_id, version, position, removed }) => ({
        id,
        aggregate: { type: aggregate_type, id: aggregate_id },
        version,
        position,
        isRemoved: removed,
      }),
    );
  }

  /** Returns up to a number of events of an aggregate after a version, whatever their size. */
  async aggregate(
    aggregate: AggregateRef,
    after: number,
    limit: number,
    manager?: EntityManager,
  ): Promise<StoredEvents> {
    const values = [aggregate.type, aggregate.id, after, limit];
    return toAggregate(
      aggregate,
      await this.#database.read<AggregateRow>(this.#aggregate, values, manager),
    );
  }

  /** Returns all events of an aggregate after a version. */
  async historyAfter(
    aggregate: AggregateRef,
    after: number,
    manager?: EntityManager,
  ): Promise<StoredHistory> {
    return { ...(await this.aggregate(aggregate, after, maxInteger, manager)), snapshot: null };
  }

  /** Returns events of an aggregate after or before a version, limited in number and in bytes. */
  async aggregatePage(
    aggregate: AggregateRef,
    { after, limit, direction, manager }: AggregateRange,
  ): Promise<StoredAggregate> {
    const values = [
      ...[aggregate.type, aggregate.id, after, limit, pageBytes],
      direction === 'backward',
    ];
    return toAggregate(
      aggregate,
      await this.#database.read<AggregateRow>(this.#aggregatePage, values, manager),
    );
  }

  /** Returns the last snapshot, whatever its revision, and every event after the usable one. */
  async history(
    aggregate: AggregateRef,
    revision: number,
    manager?: EntityManager,
  ): Promise<StoredHistory> {
    const values = [aggregate.type, aggregate.id, revision];
    const rows = await this.#database.read<HistoryRow>(this.#history, values, manager);
    const first = rows[0];
    const snapshot =
      first?.snapshot_version == null
        ? null
        : {
            version: first.snapshot_version,
            revision: first.snapshot_revision!,
            state: { json: first.snapshot_state!, binary: first.snapshot_binary },
          };
    return { ...toAggregate(aggregate, rows), snapshot };
  }
}
