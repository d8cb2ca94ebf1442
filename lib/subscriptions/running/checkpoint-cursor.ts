import type { LogMark, LogPlace } from '../../store/reading/log-place.ts';
import type { CheckpointStore, HeldCheckpoint, Progress } from '../checkpoint-store.ts';
import type { ConsumerStatus } from '../consumer-status.ts';
import { RateMeter } from './rate-meter.ts';
import { LeaseLostError } from '../subscriptions.errors.ts';

/** How often progress without a handled event is saved; `waitFor` may lag by this much. */
export const settleMs = 50;

/** The position of a runner in the log, and how far the database knows it. */
export class CheckpointCursor {
  readonly #checkpoints: CheckpointStore;
  readonly #rate = new RateMeter();
  #held: HeldCheckpoint;
  #heldUntil: number;
  readonly #start: number;
  #saved: { readonly status: ConsumerStatus; readonly at: number };

  /** Everything up to this place is finished. */
  at: LogPlace;
  /** The last event for which a handler was called, whose effects cannot be rolled back. */
  called: LogMark | undefined;
  /** Whether the last read reached the end of the log. */
  atEnd = false;

  /** @param heldUntil by `performance.now()`: until then, no other process can have taken the lease. */
  constructor(checkpoints: CheckpointStore, held: HeldCheckpoint, heldUntil: number) {
    this.#checkpoints = checkpoints;
    this.#held = held;
    this.#heldUntil = heldUntil;
    // Without a mark, because the lease has already compared the checkpoint with the log.
    this.at = { position: held.position, mark: null };
    this.#start = held.position;
    this.#saved = { status: 'waiting', at: 0 };
  }

  /** The checkpoint as of the last renewal, with the position that was saved last. */
  get held(): HeldCheckpoint {
    return this.#held;
  }

  get position(): number {
    return this.at.position;
  }

  /** The last event that this process has read or handled for the consumer, if any. */
  get lastMark(): LogMark | null {
    const { called, at } = this;
    return called && called.position > at.position ? called : at.mark;
  }

  /** Whether anything was finished since the checkpoint was taken. */
  get hasMoved(): boolean {
    return this.position > this.#start;
  }

  get isSaved(): boolean {
    return this.position === this.#held.position;
  }

  renew(held: HeldCheckpoint, heldUntil: number): void {
    this.#held = { ...held, position: this.#held.position };
    this.#heldUntil = heldUntil;
  }

  /**
   * Makes sure that no other process can already have begun the work that is about to begin: a process
   * that was frozen past its lease must not cause a second effect.
   *
   * @throws LeaseLostError
   */
  checkHeld(): void {
    if (performance.now() < this.#heldUntil) return;
    throw new LeaseLostError(this.#held.consumer, this.#held.partition);
  }

  /** Returns what to save with the transaction that has finished everything up to `at`. */
  progress(at: LogPlace, handled: number): Progress {
    const eventsPerSecond = this.#rate.count(handled);
    return { ...at, status: this.#status, eventsPerSecond };
  }

  /** Must be called once the transaction has committed. */
  hasSaved({ position, status }: Progress): void {
    this.#held = { ...this.#held, position };
    this.#saved = { status, at: performance.now() };
  }

  /** @throws LeaseLostError */
  async save(at: LogPlace, handled: number): Promise<void> {
    const progress = this.progress(at, handled);
    await this.#checkpoints.save(this.#held, progress);
    this.hasSaved(progress);
  }

  /** Saves progress for which nothing had to be handled; unless it is urgent, not after every append. */
  async saveIdle(isUrgent = false): Promise<void> {
    if (this.isSaved && this.#status === this.#saved.status) return;
    if (!isUrgent && performance.now() - this.#saved.at < settleMs) return;
    await this.save(this.at, 0);
  }

  get #status(): ConsumerStatus {
    return this.atEnd ? 'live' : 'catching-up';
  }
}
