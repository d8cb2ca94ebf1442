import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { HeldCheckpoint } from '../checkpoint-store.ts';
import type { EventFilter } from '../delivery/event-filter.ts';
import { isCoveredBy } from '../partition-positions.ts';
import { partitionOf } from '../partitions.ts';

/** What a consumer wants to see of the log. */
export interface LogFilter {
  /** The names under which its events may be stored. */
  readonly storedTypes: readonly string[];
  readonly aggregateTypes: readonly string[] | undefined;
  /** Decides in the end: the database does not know what a stored event is read as. */
  readonly passes: EventFilter;
}

/** Returns whether the aggregate belongs to the partition of a checkpoint. */
export const isInPartition = (aggregate: AggregateRef, held: HeldCheckpoint): boolean =>
  partitionOf(aggregate, held.partitions) === held.partition;

/** Returns whether an event falls to the owner of a checkpoint, of any type. */
export const isLeftFor = (
  event: Pick<EventRecord, 'aggregate' | 'position'>,
  held: HeldCheckpoint,
): boolean => isInPartition(event.aggregate, held) && !isCoveredBy(event, held.finished);

/** Returns whether a record is for the owner of a checkpoint to handle. */
export const isDue = (record: EventRecord, filter: LogFilter, held: HeldCheckpoint): boolean =>
  filter.passes(record) && isLeftFor(record, held);

/** Returns whether a record was handled before, by a former generation or before a reset. */
export const isReplayed = (record: EventRecord, { rebuild, replayed }: HeldCheckpoint): boolean =>
  rebuild !== null || isCoveredBy(record, replayed);
