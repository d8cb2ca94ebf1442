import type { Consumer } from './consumer.ts';
import type { ConsumerState, ParkedAggregate, SkippedEvent } from './consumer-state.ts';
import type { ConsumerStatus } from './consumer-status.ts';
import type { SkipOptions } from './skip-options.ts';

export interface RebuildOptions {
  /** The position to begin after, no further than what was handled. @default 0, the start of the log */
  readonly from?: number;
  /** The most events in a second over one partition, to spare the database. @default no limit */
  readonly eventsPerSecond?: number;
}

/** The lease of a process: how long it counts as alive without a renewal. */
export interface ProcessLease {
  readonly owner: string;
  readonly leaseMs: number;
}

/** How far a consumer has come, for callers that wait for it. */
export interface Reached {
  readonly position: number;
  readonly status: ConsumerStatus;
  readonly error: string | null;
}

/** Knows all consumers of a store, wherever they run, and carries out what is asked of them. */
export abstract class ConsumerRegistry {
  /**
   * Makes consumers known, with as many partitions as they ask for; a stopped one may try again. The
   * lease of the process that is about to run them begins. A new one begins where its options say, and
   * not after `latestStart`.
   */
  abstract register(
    consumers: readonly Consumer[],
    process?: ProcessLease,
    latestStart?: number,
  ): Promise<void>;
  abstract states(): Promise<readonly ConsumerState[]>;
  /** Returns how far these have come; those that are unknown are left out. */
  abstract reached(consumers: readonly string[]): Promise<ReadonlyMap<string, Reached>>;

  /** Each throws UnknownConsumerError, and ConsumerStateError where it does not go with the state. */
  abstract pause(consumer: string): Promise<void>;
  abstract resume(consumer: string): Promise<void>;
  abstract reset(consumer: string, position: number): Promise<void>;
  abstract rebuild(consumer: Consumer, options: RebuildOptions): Promise<number>;
  abstract cancelRebuild(consumer: Consumer): Promise<void>;

  abstract parked(consumer: string): Promise<readonly ParkedAggregate[]>;
  /** Returns how many events that concerns. */
  abstract retryParked(consumer: string, aggregate?: { type: string; id: string }): Promise<number>;
  abstract discardParked(consumer: string, position: number, options: SkipOptions): Promise<void>;

  abstract skip(consumer: string, position: number, options: SkipOptions): Promise<void>;
  /** Returns what a consumer has given up, the last event first, also of one that was forgotten. */
  abstract skipped(consumer: string, limit: number): Promise<readonly SkippedEvent[]>;
  abstract forget(consumer: string, options: SkipOptions): Promise<void>;
}
