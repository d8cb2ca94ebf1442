import type { StoredEvent } from '../../../events/event-serializer.ts';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { StoredHistory } from '../../../store/event-storage.ts';
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';

export interface EventRow {
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

/**
 * A row of a left join: with an event, or with only the version of the aggregate or the end of the log.
 */
type Nullable<Row> = { [Column in keyof Row]: Row[Column] | null };
export type LogRow = Nullable<EventRow & { aggregate_type: string; aggregate_id: string }>;
/** The last row of a page; its event is the last event up to the end of the page. */
export type LogPageRow = LogRow & {
  head: number;
  reached: number;
  at_end: boolean;
  diverged: boolean;
};
export type AggregateRow = {
  current_version: number;
  removed_version: number;
  /** Missing in the rows of a page. */
  base_id?: string | null;
  base_position?: number | null;
} & Nullable<EventRow>;
export type HistoryRow = AggregateRow & {
  snapshot_version: number | null;
  snapshot_revision: number | null;
  snapshot_state: string | null;
  snapshot_binary: Buffer | null;
};

/** Events of one aggregate, without a snapshot. */
export type StoredEvents = Omit<StoredHistory, 'snapshot'>;

export function toAggregate(aggregate: AggregateRef, rows: readonly AggregateRow[]): StoredEvents {
  const first = rows[0];
  return {
    version: first?.current_version ?? 0,
    removedVersion: first?.removed_version ?? 0,
    base: first?.base_id ? { id: first.base_id, position: first.base_position! } : null,
    events: rows.filter(isEvent).map((row) => toStoredEvent(row, aggregate)),
  };
}

export const aggregateOf = (row: LogRow): AggregateRef => ({
  type: row.aggregate_type!,
  id: row.aggregate_id!,
});

export function isEvent<Row extends Nullable<EventRow>>(row: Row): row is Row & EventRow {
  return row.position !== null;
}

export function toStoredEvent(row: EventRow, aggregate: AggregateRef): StoredEvent {
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
