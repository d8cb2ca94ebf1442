import { createHash } from 'node:crypto';
import type { AggregateRef } from '../store/aggregate-ref.ts';

/**
 * Returns the partition of an aggregate, out of this number of `partitions`.
 *
 * It is a digest of the reference, and so the same in every process and release: another function would
 * move the events of running consumers to other partitions.
 */
export function partitionOf({ type, id }: AggregateRef, partitions: number): number {
  if (partitions === 1) return 0;
  return createHash('sha256').update(`${type}\n${id}`).digest().readUInt32BE() % partitions;
}
