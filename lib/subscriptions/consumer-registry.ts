import type { Consumer } from './consumer.ts';
import type { ConsumerState, ParkedAggregate, SkippedEvent } from './consumer-state.ts';
import type { ConsumerStatus } from './consumer-status.ts';
import type { SkipOptions } from './skip-options.ts';

export interface RebuildOptions {
  /**
   * The position to begin after, at most the position already handled. @default 0, the start of the log
   */
  readonly from?: number;
  /** The most events per second for each partition, to spare the database. @default no limit */
  readonly eventsPerSecond?: number;
}

/** The lease of a process, which says how long the process counts as alive without a renewal. */
export interface ProcessLease {
  readonly owner: string;
  readonly leaseMs: number;
}

/** The progress of a consumer, for callers that wait for it. */
export interface Reached {
  readonly position: number;
  readonly status: ConsumerStatus;
  readonly error: string | null;
}

/** Knows all consumers of a store, wherever they run, and carries out the requests about them. */
export abstract class ConsumerRegistry {
  /**
   * Registers consumers with their numbers of partitions; a stopped consumer may try again. The lease
   * of the process that is about to run them begins. A new consumer begins where its options say, but
   * not after `latestStart`.
   */
  abstract register(
    consumers: readonly Consumer[],
    process?: ProcessLease,
    latestStart?: number,
  ): Promise<void>;
  abstract states(): Promise<readonly ConsumerState[]>;
  /** Returns the progress of these consumers, without unknown ones. */
  abstract reached(consumers: readonly string[]): Promise<ReadonlyMap<string, Reached>>;

  /**
   * Each throws UnknownConsumerError, and ConsumerStateError if the state does not allow the request.
   */
  abstract pause(consumer: string): Promise<void>;
  abstract resume(consumer: string): Promise<void>;
  abstract reset(consumer: string, position: number): Promise<void>;
  abstract rebuild(consumer: Consumer, options: RebuildOptions): Promise<number>;
  abstract cancelRebuild(consumer: Consumer): Promise<void>;

  abstract parked(consumer: string): Promise<readonly ParkedAggregate[]>;
  /** Returns the number of events concerned. */
  abstract retryParked(consumer: string, aggregate?: { type: string; id: string }): Promise<number>;
  abstract discardParked(consumer: string, position: number, options: SkipOptions): Promise<void>;

  abstract skip(consumer: string, position: number, options: SkipOptions): Promise<void>;
  /** Returns the skipped events of a consumer, the last one first, even after it was forgotten. */
  abstract skipped(consumer: string, limit: number): Promise<readonly SkippedEvent[]>;
  abstract forget(consumer: string, options: SkipOptions): Promise<void>;
}
