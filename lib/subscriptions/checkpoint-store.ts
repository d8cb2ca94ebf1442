import type { EntityManager } from 'typeorm';
import type { LogPlace } from '../store/reading/log-place.ts';
import type { ConsumerStatus } from './consumer-status.ts';
import type { PartitionPositions } from './partition-positions.ts';

/** Identifies a checkpoint: that of one partition of one generation of a consumer. */
export interface CheckpointKey {
  readonly consumer: string;
  readonly generation: number;
  readonly partition: number;
}

/** A checkpoint that this process holds, as of the last renewal of the lease. */
export interface HeldCheckpoint extends CheckpointKey {
  /** The process that holds it. */
  readonly owner: string;
  readonly partitions: number;
  /** Grows whenever the lease changes hands; a process with an older number cannot commit. */
  readonly fence: number;
  /** Everything up to this position is finished. */
  readonly position: number;
  /** What other partitions had finished beyond it before the number of partitions was changed. */
  readonly finished: readonly PartitionPositions[];
  /** The positions handled before a reset, or by a former generation. */
  readonly replayed: readonly PartitionPositions[];
  /** How many processes in a row have lost the checkpoint without any progress. */
  readonly takeovers: number;
  /**
   * Whether the process should release it: the consumer is paused or gets another number of partitions,
   * the generation is replaced, or another process has too few.
   */
  readonly unwanted: boolean;
  /** Whether the log lacks an event that was finished here. */
  readonly diverged: boolean;
  /** Whether parked events wait for a retry. */
  readonly retryParked: boolean;
  /** A table that a hook has created for its generation and that is missing; `null` if none is. */
  readonly lostTable: string | null;
  /** Whether the read model of its generation exists, if the consumer has one. */
  readonly isPrepared: boolean;
  /** Set if it is built beside the generation in use, with its limit of events per second. */
  readonly rebuild: { readonly eventsPerSecond: number | null } | null;
}

/**
 * The progress of an owner, marked with the last event that it was handed or has passed. Without a
 * mark, the position is that of the checkpoint.
 */
export interface Progress extends LogPlace {
  readonly eventsPerSecond: number;
  readonly status: ConsumerStatus;
}

export interface Failure {
  readonly error: unknown;
  /** The event that failed. */
  readonly position: number | null;
  readonly failures: number;
}

/** A transaction that commits together with the checkpoint of its runner. */
export interface CheckpointTransaction {
  readonly manager: EntityManager;
  /** Parks events, given by their positions; the failure is that of the first event. */
  park(positions: readonly number[], failure: Failure | null): Promise<void>;
  /** Records the event at a position as skipped by the policy of its consumer. */
  skip(position: number, failure: Failure): Promise<void>;
  /** Removes an event from the parked ones; returns whether it was the last one of its aggregate. */
  unpark(position: number): Promise<boolean>;
}

/**
 * Keeps the checkpoints of consumers. At most one process at a time holds a checkpoint and can commit
 * it.
 */
export abstract class CheckpointStore {
  /**
   * Renews the lease of a process that runs these consumers, takes free checkpoints up to its fair
   * share, and returns all checkpoints that it now holds. The lease lasts `leaseMs` from this call on,
   * and covers everything that the process holds.
   */
  abstract hold(
    owner: string,
    consumers: readonly string[],
    leaseMs: number,
  ): Promise<readonly HeldCheckpoint[]>;

  /**
   * Releases checkpoints, or without `keys` all of the owner, together with its place among the
   * processes.
   */
  abstract release(owner: string, keys?: readonly CheckpointKey[]): Promise<void>;

  /**
   * Saves progress outside of any transaction, if the checkpoint is still at `held.position` and the
   * log still holds the event with which the progress is marked.
   *
   * @throws LeaseLostError if the checkpoint is at another position, or no longer held.
   * @throws HistoryDivergedError if the log is another one.
   */
  abstract save(held: HeldCheckpoint, progress: Progress): Promise<void>;

  /**
   * Runs work in a transaction that commits together with the progress it returns, or not at all.
   *
   * The database ends a transaction that takes longer than `timeoutMs`, even if this process is frozen.
   *
   * @throws LeaseLostError if the checkpoint is no longer held, or not at `held.position`; nothing is
   * committed.
   * @throws HistoryDivergedError if the log no longer holds the event with which the progress is
   * marked; nothing is committed.
   */
  abstract transaction(
    held: HeldCheckpoint,
    timeoutMs: number,
    work: (transaction: CheckpointTransaction) => Promise<Progress>,
  ): Promise<void>;

  /** Stores why a consumer retries or has stopped. @throws LeaseLostError */
  abstract fail(
    held: HeldCheckpoint,
    status: 'retrying' | 'stopped',
    failure: Failure,
  ): Promise<void>;

  /**
   * Returns whether an error came from the database, the lease or another log, and not from an event.
   * Such an error does not count as an attempt.
   */
  abstract isInterruption(error: unknown): boolean;

  /**
   * Returns whether the database gave up because of a time limit. A smaller batch may then succeed, but
   * the same batch would not.
   */
  abstract isTimeLimit(error: unknown): boolean;
}
