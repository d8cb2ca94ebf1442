import type { EntityManager } from 'typeorm';
import type { HeldCheckpoint } from './checkpoint-store.ts';
import type { Consumer } from './consumer.ts';
import type { PartitionPositions } from './partition-positions.ts';

/** Makes the read models of generations, and puts one generation in the place of another. */
export abstract class Generations {
  /** Calls `prepare` and `activate` for the generation in use of each consumer, unless that was done. */
  abstract prepare(consumers: readonly Consumer[]): Promise<void>;

  /** Calls `prepare` for one generation, and `activate` if it is in use, unless that was done. */
  abstract prepareGeneration(consumer: Consumer, generation: number): Promise<void>;

  /** Returns how far the generation in use has come, partition by partition; `null` if there is none. */
  abstract positionsInUse(consumer: string): Promise<PartitionPositions | null>;

  /**
   * Puts a rebuilt generation in the place of the one in use, if it has come as far.
   *
   * Otherwise the one in use is halted where it is, so that the next try succeeds. Returns whether
   * the generation is in use now.
   *
   * @throws ConsumerStateError while a handler or a saga has parked events in the one in use.
   */
  abstract replace(
    held: HeldCheckpoint,
    consumer: Consumer,
    /**
     * For an inline projection: applies the log up to `through`, to which nothing that concerns it is
     * added meanwhile; false if it cannot come so far now.
     */
    catchUp: (manager: EntityManager, through: number) => Promise<boolean>,
  ): Promise<boolean>;
}
