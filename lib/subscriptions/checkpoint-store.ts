import type { EntityManager } from 'typeorm';
import type { LogPlace } from '../store/reading/log-place.ts';
import type { ConsumerStatus } from './consumer-status.ts';
import type { PartitionPositions } from './partition-positions.ts';

/** Which checkpoint: that of one partition of one generation of a consumer. */
export interface CheckpointKey {
  readonly consumer: string;
  readonly generation: number;
  readonly partition: number;
}

/** A checkpoint that this process holds, as it was when the lease was last renewed. */
export interface HeldCheckpoint extends CheckpointKey {
  /** The process that holds it. */
  readonly owner: string;
  readonly partitions: number;
  /** Grows whenever the lease changes hands; a process with another number commits nothing. */
  readonly fence: number;
  /** Everything up to here is finished. */
  readonly position: number;
  /** What other partitions had finished beyond it before their number was changed. */
  readonly finished: readonly PartitionPositions[];
  /** What was handled before a reset, or by a former generation. */
  readonly replayed: readonly PartitionPositions[];
  /** How many processes have lost it in a row without getting any further. */
  readonly takeovers: number;
  /**
   * It should be let go: the consumer is paused or gets another number of partitions, the generation
   * is replaced, or another process has too few.
   */
  readonly unwanted: boolean;
  /** The log does not hold what was finished here. */
  readonly diverged: boolean;
  /** Parked events wait for their next attempt. */
  readonly retryParked: boolean;
  /** A table that a hook has made for its generation, and that is gone. */
  readonly lostTable: string | null;
  /** The read model of its generation is made, if the consumer makes one. */
  readonly isPrepared: boolean;
  /** It is built beside the generation in use, at most this many events per second. */
  readonly rebuild: { readonly eventsPerSecond: number | null } | null;
}

/**
 * How far an owner has come, marked with the last event that it was handed or has passed. Without a mark,
 * the position is that of the checkpoint.
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

/** A transaction that ends with the checkpoint of its runner. */
export interface CheckpointTransaction {
  readonly manager: EntityManager;
  /** Sets events aside, by their positions; the failure is that of the first one. */
  park(positions: readonly number[], failure: Failure | null): Promise<void>;
  /** Keeps the event at a position as one that the policy of its consumer leaves out. */
  skip(position: number, failure: Failure): Promise<void>;
  /** Takes an event back in; returns whether it was the last one of its aggregate. */
  unpark(position: number): Promise<boolean>;
}

/** Keeps the checkpoints of consumers, each held by at most one process that can still commit. */
export abstract class CheckpointStore {
  /**
   * Renews the lease of a process that runs these consumers, takes checkpoints that are free up to its
   * fair share, and returns all that it holds now. The lease lasts `leaseMs` from this call on, and
   * covers everything that the process holds.
   */
  abstract hold(
    owner: string,
    consumers: readonly string[],
    leaseMs: number,
  ): Promise<readonly HeldCheckpoint[]>;

  /** Lets go of checkpoints, or of all of the owner and of its place among the processes. */
  abstract release(owner: string, keys?: readonly CheckpointKey[]): Promise<void>;

  /**
   * Saves progress outside of any transaction, if the checkpoint is still at `held.position` and the log
   * still holds the event that the progress is marked with.
   *
   * @throws LeaseLostError if the checkpoint is not, or is no longer held.
   * @throws HistoryDivergedError if the log is another one.
   */
  abstract save(held: HeldCheckpoint, progress: Progress): Promise<void>;

  /**
   * Runs work in a transaction that commits together with the progress it returns, or not at all.
   *
   * The database ends what takes longer than `timeoutMs`, also if this process is frozen meanwhile.
   *
   * @throws LeaseLostError if it is no longer held, or not at `held.position`; nothing is committed.
   * @throws HistoryDivergedError if the log no longer holds the event that the progress is marked with;
   * nothing is committed.
   */
  abstract transaction(
    held: HeldCheckpoint,
    timeoutMs: number,
    work: (transaction: CheckpointTransaction) => Promise<Progress>,
  ): Promise<void>;

  /** Stores why a consumer is trying again, or has stopped. @throws LeaseLostError */
  abstract fail(
    held: HeldCheckpoint,
    status: 'retrying' | 'stopped',
    failure: Failure,
  ): Promise<void>;

  /**
   * Returns whether the database, the lease or another log caused an error, and not an event. Then no
   * attempt is counted.
   */
  abstract isInterruption(error: unknown): boolean;

  /**
   * Returns whether the database gave something up because it took longer than a time limit allows. Then
   * less may succeed, and the same again would not.
   */
  abstract isTimeLimit(error: unknown): boolean;
}
