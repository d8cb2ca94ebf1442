import type { LogHorizon } from '../store/reading/log-horizon.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { ConsumerKind } from './consumer.ts';
import type { ConsumerStatus } from './consumer-status.ts';

/** The state of one partition of one generation of a consumer. */
export interface PartitionState {
  readonly generation: number;
  /** From 0 up. */
  readonly partition: number;
  readonly status: ConsumerStatus;
  /** The process that holds it, as host, process id and a random part; `null` if none does. */
  readonly owner: string | null;
  /** Everything up to here is finished. */
  readonly position: number;
  /** How many positions lie between it and the end of the log; gaps count, so it is an upper bound. */
  readonly lagEvents: number;
  /** How long ago the first event after its position was recorded; 0 if there is none. */
  readonly lagMs: number;
  /** Events handled in a second, smoothed over the last seconds in which it had any. */
  readonly eventsPerSecond: number;
  /** Why it is down or trying again; `null` while all is well. */
  readonly error: ConsumerFailure | null;
}

/** What went wrong last, as it was stored. */
export interface ConsumerFailure {
  /** The name and the message of the error. */
  readonly message: string;
  /** The event that failed; `null` if none was to blame. */
  readonly position: number | null;
  readonly failures: number;
  readonly at: Date;
}

/** How far a rebuild has come. */
export interface RebuildProgress {
  readonly generation: number;
  /** The lowest position of its partitions. */
  readonly position: number;
  /** The lowest position of the generation that it will replace. */
  readonly target: number;
  /** From 0 up to 1. */
  readonly progress: number;
  /** Milliseconds until it has caught up at its present rate; `null` while unknown. */
  readonly remainingMs: number | null;
}

/** A consumer and all of its partitions. */
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
  /** How many events are set aside. */
  readonly parkedEvents: number;
}

/** All consumers of a store, and how far its log can be read. */
export interface ConsumersState {
  readonly consumers: readonly ConsumerState[];
  /** The end of the log, and the open transactions that keep readers from it. */
  readonly horizon: LogHorizon;
}

/** The events of one aggregate that a consumer has set aside: the one that failed, and its followers. */
export interface ParkedAggregate {
  readonly aggregate: AggregateRef;
  /** The position of the event that failed. */
  readonly position: number;
  readonly eventId: string;
  /** How many events are set aside, it included. */
  readonly events: number;
  readonly failure: ConsumerFailure;
  /** Whether it is waiting for its next attempt. */
  readonly retrying: boolean;
}

/** An event that a consumer has given up for good. */
export interface SkippedEvent {
  readonly position: number;
  readonly eventId: string;
  readonly aggregate: AggregateRef;
  readonly generation: number;
  /**
   * What gave it up: the policy `'skip'` of the consumer, `skip()`, `discardParked()`, or `forget()` while
   * it was parked.
   */
  readonly cause: 'policy' | 'skip' | 'discard' | 'forget';
  /** What the caller gave as its reason; otherwise the name of the option or the method. */
  readonly reason: string;
  /** The name and the message of the last error; `null` if it was parked after another and not tried. */
  readonly error: string | null;
  readonly failures: number;
  /** What the caller gave; otherwise the role in the database, or the process for the policy. */
  readonly by: string;
  /** By the clock of the database. */
  readonly at: Date;
}
