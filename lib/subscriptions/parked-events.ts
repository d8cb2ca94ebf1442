import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { CheckpointKey, Failure } from './checkpoint-store.ts';

/** An event that was set aside, and how often it has failed. */
export interface ParkedEvent {
  readonly position: number;
  readonly aggregate: AggregateRef;
  readonly failures: number;
}

/**
 * Knows the events that the consumers which this process runs have set aside. They are set aside, and taken
 * back in, in the transaction of their checkpoint: see `CheckpointTransaction`.
 */
export abstract class ParkedEvents {
  /** Returns the aggregates that this generation of a consumer has set aside. */
  abstract aggregates(key: CheckpointKey): Promise<readonly AggregateRef[]>;

  /** Returns the first event of each aggregate whose next attempt was asked for. */
  abstract toRetry(key: CheckpointKey): Promise<readonly ParkedEvent[]>;

  /** Returns whether the next attempt at a parked event is still asked for. */
  abstract isToRetry(key: CheckpointKey, position: number): Promise<boolean>;

  /** Stores that the next attempt of parked events has failed; they wait to be asked for again. */
  abstract keep(key: CheckpointKey, event: ParkedEvent, failure: Failure): Promise<void>;
}
