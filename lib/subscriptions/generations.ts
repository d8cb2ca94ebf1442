import type { EntityManager } from 'typeorm';
import type { HeldCheckpoint } from './checkpoint-store.ts';
import type { Consumer } from './consumer.ts';
import type { PartitionPositions } from './partition-positions.ts';

/** Makes the read models of generations, and replaces one generation by another. */
export abstract class Generations {
  /** Calls `prepare` and `activate` for the generation in use of each consumer, unless already done. */
  abstract prepare(consumers: readonly Consumer[]): Promise<void>;

  /** Calls `prepare` for one generation, and `activate` if it is in use, unless already done. */
  abstract prepareGeneration(consumer: Consumer, generation: number): Promise<void>;

  /** Returns the progress of the generation in use, partition by partition; `null` if there is none. */
  abstract positionsInUse(consumer: string): Promise<PartitionPositions | null>;

  /**
   * Replaces the generation in use by a rebuilt one, if that has caught up.
   *
   * Otherwise halts the generation in use where it is, so that the next attempt succeeds. Returns
   * whether the rebuilt generation is now in use.
   *
   * @throws ConsumerStateError while a handler or a saga has parked events in the generation in use.
   */
  abstract replace(
    held: HeldCheckpoint,
    consumer: Consumer,
    /**
     * For an inline projection: applies the log up to `through`. Meanwhile no event that concerns the
     * projection is added. Returns false if it cannot reach that position now.
     */
    catchUp: (manager: EntityManager, through: number) => Promise<boolean>,
  ): Promise<boolean>;
}
