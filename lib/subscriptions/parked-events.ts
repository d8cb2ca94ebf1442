import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { CheckpointKey, Failure } from './checkpoint-store.ts';

/** A parked event, and how often it has failed. */
export interface ParkedEvent {
  readonly position: number;
  readonly aggregate: AggregateRef;
  readonly failures: number;
}

/**
 * Knows the parked events of the consumers that this process runs. Events are parked, and taken back,
 * in the transaction of their checkpoint: see `CheckpointTransaction`.
 */
export abstract class ParkedEvents {
  /** Returns the aggregates that this generation of a consumer has parked. */
  abstract aggregates(key: CheckpointKey): Promise<readonly AggregateRef[]>;

  /** Returns the first event of each aggregate for which a retry was requested. */
  abstract toRetry(key: CheckpointKey): Promise<readonly ParkedEvent[]>;

  /** Returns whether a retry of a parked event is still requested. */
  abstract isToRetry(key: CheckpointKey, position: number): Promise<boolean>;

  /**
   * Records that the retry of a parked event has failed; it stays parked until another retry is
   * requested.
   */
  abstract keep(key: CheckpointKey, event: ParkedEvent, failure: Failure): Promise<void>;
}
