import type { LogHorizon } from '../store/reading/log-horizon.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { ConsumerKind } from './consumer.ts';
import type { ConsumerStatus } from './consumer-status.ts';

/** The state of one partition of one generation of a consumer. */
export interface PartitionState {
  readonly generation: number;
  /** The number of the partition, from 0 up. */
  readonly partition: number;
  readonly status: ConsumerStatus;
  /** The process that holds it, as host, process id and a random part; `null` if no process does. */
  readonly owner: string | null;
  /** Everything up to this position is finished. */
  readonly position: number;
  /** The number of positions up to the end of the log; gaps count, so it is an upper bound. */
  readonly lagEvents: number;
  /** How long ago the first event after its position was recorded; 0 if there is none. */
  readonly lagMs: number;
  /** Events handled per second, smoothed over the last seconds in which there were any. */
  readonly eventsPerSecond: number;
  /** Why it has stopped or retries; `null` while it works. */
  readonly error: ConsumerFailure | null;
}

/** The last failure, as it was stored. */
export interface ConsumerFailure {
  /** The name and the message of the error. */
  readonly message: string;
  /** The position of the event that failed; `null` if no event caused the failure. */
  readonly position: number | null;
  readonly failures: number;
  readonly at: Date;
}

/** The progress of a rebuild. */
export interface RebuildProgress {
  readonly generation: number;
  /** The lowest position of its partitions. */
  readonly position: number;
  /** The lowest position of the generation that it will replace. */
  readonly target: number;
  /** The fraction that is done, from 0 to 1. */
  readonly progress: number;
  /** Milliseconds until it has caught up at its present rate; `null` if unknown. */
  readonly remainingMs: number | null;
}

/** The state of a consumer and all of its partitions. */
export interface ConsumerState {
  readonly name: string;
  readonly kind: ConsumerKind;
  /** The generation that is in use; 0 while an inline projection is built for the first time. */
  readonly generation: number;
  readonly paused: boolean;
  /** The worst status among the partitions in use. */
  readonly status: ConsumerStatus;
  /** The lowest position among the partitions in use. */
  readonly position: number;
  readonly lagEvents: number;
  readonly lagMs: number;
  readonly partitions: readonly PartitionState[];
  readonly rebuild: RebuildProgress | null;
  /** How many events are parked. */
  readonly parkedEvents: number;
}

/** All consumers of a store, and how far its log can be read. */
export interface ConsumersState {
  readonly consumers: readonly ConsumerState[];
  /** The end of the log, and the open transactions that hold readers back from it. */
  readonly horizon: LogHorizon;
}

/** The events of one aggregate that a consumer has parked: the event that failed, and its followers. */
export interface ParkedAggregate {
  readonly aggregate: AggregateRef;
  /** The position of the event that failed. */
  readonly position: number;
  readonly eventId: string;
  /** How many events are parked, including the failed one. */
  readonly events: number;
  readonly failure: ConsumerFailure;
  /** Whether a retry is requested. */
  readonly retrying: boolean;
}

/** An event that a consumer has skipped for good. */
export interface SkippedEvent {
  readonly position: number;
  readonly eventId: string;
  readonly aggregate: AggregateRef;
  readonly generation: number;
  /**
   * What skipped the event: the policy `'skip'` of the consumer, `skip()`, `discardParked()`, or
   * `forget()` while the event was parked.
   */
  readonly cause: 'policy' | 'skip' | 'discard' | 'forget';
  /** The reason that the caller gave; otherwise the name of the option or the method. */
  readonly reason: string;
  /**
   * The name and the message of the last error; `null` if the event was parked after another, never
   * tried.
   */
  readonly error: string | null;
  readonly failures: number;
  /** The name that the caller gave; otherwise the database role, or the process for the policy. */
  readonly by: string;
  /** When it was skipped, by the clock of the database. */
  readonly at: Date;
}
