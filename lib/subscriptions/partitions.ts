import { createHash } from 'node:crypto';
import type { AggregateRef } from '../store/aggregate-ref.ts';

/**
 * Returns which of `partitions` an aggregate belongs to.
 *
 * A digest of the reference, so that it is the same in every process and release: another function would
 * hand the events of running consumers to other partitions.
 */
export function partitionOf({ type, id }: AggregateRef, partitions: number): number {
  if (partitions === 1) return 0;
  return createHash('sha256').update(`${type}\n${id}`).digest().readUInt32BE() % partitions;
}
