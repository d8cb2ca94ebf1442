import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { HeldCheckpoint } from '../checkpoint-store.ts';
import type { EventFilter } from '../delivery/event-filter.ts';
import { isCoveredBy } from '../partition-positions.ts';
import { partitionOf } from '../partitions.ts';

/** The events that a consumer takes from the log. */
export interface LogFilter {
  /** The names under which its events may be stored. */
  readonly storedTypes: readonly string[];
  readonly aggregateTypes: readonly string[] | undefined;
  /** Makes the final decision, because the database does not know the class that an event is read as. */
  readonly passes: EventFilter;
}

/** Returns whether the aggregate belongs to the partition of a checkpoint. */
export const isInPartition = (aggregate: AggregateRef, held: HeldCheckpoint): boolean =>
  partitionOf(aggregate, held.partitions) === held.partition;

/** Returns whether an event of any type belongs to the owner of a checkpoint. */
export const isLeftFor = (
  event: Pick<EventRecord, 'aggregate' | 'position'>,
  held: HeldCheckpoint,
): boolean => isInPartition(event.aggregate, held) && !isCoveredBy(event, held.finished);

/** Returns whether the owner of a checkpoint has to handle a record. */
export const isDue = (record: EventRecord, filter: LogFilter, held: HeldCheckpoint): boolean =>
  filter.passes(record) && isLeftFor(record, held);

/** Returns whether a record was handled before, by a former generation or before a reset. */
export const isReplayed = (record: EventRecord, { rebuild, replayed }: HeldCheckpoint): boolean =>
  rebuild !== null || isCoveredBy(record, replayed);
