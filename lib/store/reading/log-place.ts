import { eventIdOf } from '../../events/part-id.ts';
import type { AggregateRef } from '../aggregate-ref.ts';

/**
 * An event by which a reader recognizes the log that it has read.
 *
 * After a restore, or after a failover that lost the last events, the same positions belong to other
 * events, so a position alone does not identify a log.
 */
export interface LogMark {
  readonly position: number;
  readonly id: string;
  readonly aggregate: AggregateRef;
  readonly version: number;
}

/** The progress of a reader: a position, and the last event up to it, `null` if there was none. */
export interface LogPlace {
  readonly position: number;
  readonly mark: LogMark | null;
}

/**
 * Returns the mark of an event or a record, without the payload, which would stay in memory.
 *
 * The mark has the id under which the event is stored; later records of the same event have other ids.
 */
export function markOf(event: LogMark): LogMark {
  const { position, aggregate, version } = event;
  return { position, id: eventIdOf(event), aggregate, version };
}

/** Returns the place of a reader that has reached an event. */
export const placeOf = (event: LogMark): LogPlace => ({
  position: event.position,
  mark: markOf(event),
});

export const startOfLog: LogPlace = { position: 0, mark: null };
