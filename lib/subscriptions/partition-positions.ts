import type { EventRecord } from '../events/event-record.ts';
import { partitionOf } from './partitions.ts';

/** How far each partition of a consumer had come, while it had this many of them. */
export interface PartitionPositions {
  /** The position that each partition had finished; its length is the number of partitions. */
  readonly positions: readonly number[];
}

/**
 * Returns whether a record was finished by its partition at one of several earlier times.
 *
 * When the number of partitions changes, the new ones all start at the lowest position of the old
 * ones, and leave out what the old partition of the aggregate had finished beyond it.
 */
export function isCoveredBy(
  { aggregate, position }: Pick<EventRecord, 'aggregate' | 'position'>,
  earlier: readonly PartitionPositions[],
): boolean {
  return earlier.some(
    ({ positions }) => position <= positions[partitionOf(aggregate, positions.length)]!,
  );
}
