import type { EventRecord } from '../events/event-record.ts';
import { partitionOf } from './partitions.ts';

/** The progress of each partition of a consumer at a time when it had this many partitions. */
export interface PartitionPositions {
  /** The position that each partition had finished; its length is the number of partitions. */
  readonly positions: readonly number[];
}

/**
 * Returns whether a record was already finished by its partition at one of several earlier times.
 *
 * When the number of partitions changes, the new partitions all start at the lowest position of the old
 * ones, and skip what the old partition of the aggregate had finished beyond it.
 */
export function isCoveredBy(
  { aggregate, position }: Pick<EventRecord, 'aggregate' | 'position'>,
  earlier: readonly PartitionPositions[],
): boolean {
  return earlier.some(
    ({ positions }) => position <= positions[partitionOf(aggregate, positions.length)]!,
  );
}
