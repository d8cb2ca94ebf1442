import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { HeldCheckpoint } from '../checkpoint-store.ts';
import { isMarked, partitionOf } from '../marks.ts';

/** What a consumer wants to see of the log. */
export interface LogFilter {
  /** The names under which its events may be stored. */
  readonly storedTypes: readonly string[];
  /** The prototypes of its event classes: what a stored event is read as decides in the end. */
  readonly prototypes: ReadonlySet<object | null>;
  readonly aggregateTypes: ReadonlySet<string> | undefined;
}

/** Tells whether a record passes a consumer's filter. */
export const passes = (
  { event, aggregate }: EventRecord,
  { prototypes, aggregateTypes }: LogFilter,
): boolean =>
  prototypes.has(Object.getPrototypeOf(event) as object | null) &&
  (aggregateTypes?.has(aggregate.type) ?? true);

/** Tells whether the aggregate belongs to the partition of a checkpoint. */
export const isInPartition = (aggregate: AggregateRef, held: HeldCheckpoint): boolean =>
  partitionOf(aggregate, held.partitions) === held.partition;

/** Tells whether what stands there falls to the holder of a checkpoint, whatever it is. */
export const isLeftFor = (
  place: Pick<EventRecord, 'aggregate' | 'position'>,
  held: HeldCheckpoint,
): boolean => isInPartition(place.aggregate, held) && !isMarked(place, held.finished);

/** Tells whether a record is for the holder of a checkpoint to handle. */
export const isDue = (record: EventRecord, filter: LogFilter, held: HeldCheckpoint): boolean =>
  passes(record, filter) && isLeftFor(record, held);

/** Tells whether a record was handled before, by a former generation or before a reset. */
export const isReplayed = (record: EventRecord, { rebuild, replayed }: HeldCheckpoint): boolean =>
  rebuild !== null || isMarked(record, replayed);
