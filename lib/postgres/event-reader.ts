import type { EntityManager } from 'typeorm';
import type { StoredEvent } from '../events/event-serializer.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { LogHorizon } from '../store/event-store.ts';
import type { EventPlace } from '../store/event-places.ts';
import type { ReadDirection } from '../store/read-options.ts';
import type { StoredSnapshot } from '../store/revive-snapshot.ts';
import { type Database, Statement } from './database.ts';
import { timeOf } from './sql/microseconds.ts';
import { readAggregate, readAggregateBackward, readHistory } from './sql/read-aggregate.ts';
import { readHorizon } from './sql/read-horizon.ts';
import { readPlaces } from './sql/read-places.ts';

interface EventRow {
  position: number;
  event_id: string;
  version: number;
  type: string;
  revision: number;
  payload: string;
  binary_payload: Buffer | null;
  metadata: string;
  recorded_at: number;
}

/** A row of a left join: it has an event, or says only where the aggregate or the log stands. */
type Nullable<Row> = { [Column in keyof Row]: Row[Column] | null };
type LogRow = { head: number } & Nullable<
  EventRow & { aggregate_type: string; aggregate_id: string }
>;
type AggregateRow = {
  current_version: number;
  removed_version: number;
  /** Not of a read backward. */
  base_id?: string | null;
  base_position?: number | null;
} & Nullable<EventRow>;
type HistoryRow = AggregateRow & {
  snapshot_version: number | null;
  snapshot_revision: number | null;
  snapshot_state: string | null;
  snapshot_binary: Buffer | null;
};

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

export interface StoredLogPage {
  /** The last position that can be read now. */
  readonly head: number;
  readonly events: readonly StoredEvent[];
}

export interface StoredAggregate {
  /** The aggregate's version; 0 if it is unknown. */
  readonly version: number;
  /** Events up to this version have been removed. */
  readonly removedVersion: number;
  /**
   * The event before `events`: at the version after which a read forward began, or at the aggregate's own
   * if that is lower; of a history with a snapshot, at the snapshot's. `null` if there is none.
   */
  readonly base: { readonly id: string; readonly position: number } | null;
  readonly events: readonly StoredEvent[];
}

export interface StoredHistory extends StoredAggregate {
  readonly snapshot: StoredSnapshot | null;
}

export interface LogRange {
  readonly after: number;
  readonly limit: number;
  readonly types?: readonly string[] | undefined;
  readonly aggregateTypes?: readonly string[] | undefined;
  readonly direction: ReadDirection;
  readonly manager?: EntityManager | undefined;
}

/** Reads stored events: the whole log up to its horizon, or one aggregate; one statement each. */
export class EventReader {
  readonly #database: Database;
  readonly #log: Statement;
  readonly #aggregate: Record<ReadDirection, Statement>;
  readonly #history: Statement;
  readonly #horizon: Statement;
  readonly #places: Statement;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#log = new Statement(`SELECT * FROM "${schema}".read_log($1, $2, $3, $4, $5)`);
    this.#aggregate = {
      forward: new Statement(readAggregate(schema)),
      backward: new Statement(readAggregateBackward(schema)),
    };
    this.#history = new Statement(readHistory(schema));
    this.#horizon = new Statement(readHorizon(schema));
    this.#places = new Statement(readPlaces(schema));
  }

  async log(range: LogRange): Promise<StoredLogPage> {
    const { after, limit, types, aggregateTypes, direction, manager } = range;
    const rows = await this.#database.read<LogRow>(
      this.#log,
      [after, limit, types, aggregateTypes, direction === 'backward'],
      manager,
    );
    const events = rows
      .filter(isEvent)
      .map((row) => toStoredEvent(row, { type: row.aggregate_type!, id: row.aggregate_id! }));
    return { head: rows[0]!.head, events };
  }

  /** How far the log can be read now, and the appends in flight that bound it. */
  async horizon(manager?: EntityManager): Promise<LogHorizon> {
    const rows = await this.#database.read<HorizonRow>(this.#horizon, [], manager);
    const lastPosition = rows[0]!.last;
    const holders = rows.flatMap(
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
    return { position: holders[0]?.position ?? lastPosition, lastPosition, holders };
  }

  /** Where the events of these ids are, or were before they were removed. */
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

  async aggregate(
    aggregate: AggregateRef,
    after: number,
    limit: number,
    direction: ReadDirection,
    manager?: EntityManager,
  ): Promise<StoredAggregate> {
    const values = [aggregate.type, aggregate.id, after, limit];
    const statement = this.#aggregate[direction];
    return toAggregate(
      aggregate,
      await this.#database.read<AggregateRow>(statement, values, manager),
    );
  }

  /** The last snapshot, whatever its revision, and every event after the usable one. */
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

function toAggregate(aggregate: AggregateRef, rows: readonly AggregateRow[]): StoredAggregate {
  const first = rows[0];
  return {
    version: first?.current_version ?? 0,
    removedVersion: first?.removed_version ?? 0,
    base: first?.base_id ? { id: first.base_id, position: first.base_position! } : null,
    events: rows.filter(isEvent).map((row) => toStoredEvent(row, aggregate)),
  };
}

function isEvent<Row extends Nullable<EventRow>>(row: Row): row is Row & EventRow {
  return row.position !== null;
}

function toStoredEvent(row: EventRow, aggregate: AggregateRef): StoredEvent {
  return {
    id: row.event_id,
    position: row.position,
    aggregate,
    version: row.version,
    type: row.type,
    revision: row.revision,
    payload: row.payload,
    binary: row.binary_payload,
    metadata: row.metadata,
    recordedAt: timeOf(row.recorded_at),
  };
}
