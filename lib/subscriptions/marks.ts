import { createHash } from 'node:crypto';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { EventRecord } from '../events/event-record.ts';

/** How far each partition of a consumer had come when there were so many of them. */
export interface Mark {
  /** The position that each partition had finished; its length is the number of partitions. */
  readonly positions: readonly number[];
}

/**
 * Returns which of `partitions` an aggregate belongs to.
 *
 * A digest of the reference, so that it is the same in every process and release: changing this
 * function would turn the events of running consumers over to other partitions.
 */
export function partitionOf({ type, id }: AggregateRef, partitions: number): number {
  if (partitions === 1) return 0;
  return createHash('sha256').update(`${type}\n${id}`).digest().readUInt32BE() % partitions;
}

/**
 * Tells whether a record lies behind what the partitions of some earlier time had finished.
 *
 * When the number of partitions changes, the new ones all start at the lowest position of the old
 * ones, and leave out what the old partition of the aggregate had finished beyond it.
 */
export function isMarked(
  { aggregate, position }: Pick<EventRecord, 'aggregate' | 'position'>,
  marks: readonly Mark[],
): boolean {
  return marks.some(
    ({ positions }) => position <= positions[partitionOf(aggregate, positions.length)]!,
  );
}
