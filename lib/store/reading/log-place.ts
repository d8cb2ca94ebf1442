import { eventIdOf } from '../../events/part-id.ts';
import type { AggregateRef } from '../aggregate-ref.ts';

/**
 * An event by which a reader recognises the log that it has read.
 *
 * After a restore, or a failover that lost the last events, the same positions belong to other events:
 * a position alone does not identify a log.
 */
export interface LogMark {
  readonly position: number;
  readonly id: string;
  readonly aggregate: AggregateRef;
  readonly version: number;
}

/** How far a reader has come: a position, and the last event up to it, `null` if there was none. */
export interface LogPlace {
  readonly position: number;
  readonly mark: LogMark | null;
}

/**
 * The mark of an event, or of a record, without the payload that it would keep in memory.
 *
 * By the id under which the event is stored: the later records that it is read as have ids of their own.
 */
export function markOf(event: LogMark): LogMark {
  const { position, aggregate, version } = event;
  return { position, id: eventIdOf(event), aggregate, version };
}

/** The place of a reader that has come to an event. */
export const placeOf = (event: LogMark): LogPlace => ({
  position: event.position,
  mark: markOf(event),
});

export const startOfLog: LogPlace = { position: 0, mark: null };
