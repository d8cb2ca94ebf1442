import type { LogPlace } from '../../store/reading/log-place.ts';
import type { CheckpointStore, CheckpointTransaction, Failure } from '../checkpoint-store.ts';
import type { Consumer } from '../consumer.ts';
import type { ParkedAggregates } from './parked-aggregates.ts';
import { sleep } from '../../input/sleep.ts';
import type { CheckpointCursor } from './checkpoint-cursor.ts';
import type { OperatorLog } from '../../store/operator-log.ts';
import { HandlerCrashedError } from '../subscriptions.errors.ts';

/** What happens with an event that failed: it is tried again, it is settled, or its consumer stops. */
export type Settlement = 'again' | 'done' | 'stopped';

/** Handles the events at which a consumer fails, one at a time, by its policy. */
export class FailureHandling {
  #failures = 0;
  #position = 0;

  constructor(
    private readonly consumer: Consumer,
    private readonly cursor: CheckpointCursor,
    private readonly parked: ParkedAggregates,
    private readonly checkpoints: CheckpointStore,
    private readonly log: OperatorLog,
  ) {}

  /** Returns the number of the next attempt at the event at this position, from 1 up. */
  attemptAt(position: number): number {
    return position === this.#position ? this.#failures + 1 : 1;
  }

  /** Waits for the next attempt, or settles the event by the policy. */
  async settle(at: LogPlace, error: unknown, stopping: AbortSignal): Promise<Settlement> {
    const { settings, name } = this.consumer;
    const { position } = at;
    this.#failures = this.attemptAt(position);
    this.#position = position;
    const failure: Failure = { error, position, failures: this.#failures };
    const crashed = error instanceof HandlerCrashedError;
    const delayMs = crashed ? undefined : settings.retry.delayMs(this.#failures);
    if (delayMs !== undefined) {
      await this.checkpoints.fail(this.cursor.held, 'retrying', failure);
      this.log.warn(
        `The consumer '${name}' failed at position ${position}; trying again in ${delayMs} ms.`,
        error,
      );
      await sleep(delayMs, stopping);
      return 'again';
    }
    switch (settings.onFailure) {
      case 'stop':
        await this.stop(failure);
        return 'stopped';
      case 'skip':
        this.log.error(`The consumer '${name}' skips the event at position ${position}.`, error);
        await this.#finish(at, (transaction) => transaction.skip(position, failure));
        return 'done';
      case 'park':
        this.log.error(`The consumer '${name}' parks the event at position ${position}.`, error);
        await this.#finish(at, (transaction) => transaction.park([position], failure));
        // No new read of all parked aggregates: a thousand of them would cause a million reads.
        if (at.mark) this.parked.add(at.mark.aggregate);
        else await this.parked.refresh(this.cursor.held);
        return 'done';
    }
  }

  /**
   * Records that several events took longer than the database allows, and come again in smaller
   * batches.
   */
  async noteTimeLimit(at: LogPlace, error: unknown): Promise<void> {
    const { position } = at;
    this.#failures = this.attemptAt(position);
    this.#position = position;
    await this.checkpoints.fail(this.cursor.held, 'retrying', {
      ...{ error, position, failures: this.#failures },
    });
    this.log.warn(
      `The consumer '${this.consumer.name}' took longer over a batch from position ${position} than the ` +
        'database allows; trying again with half of it.',
      error,
    );
  }

  /** Stops the consumer, and stores the reason where every operator can read it. */
  async stop(failure: Failure): Promise<void> {
    const { name } = this.consumer;
    await this.checkpoints.fail(this.cursor.held, 'stopped', failure);
    this.log.error(
      `The consumer '${name}' has stopped` +
        `${failure.position === null ? '' : ` at position ${failure.position}`}. When the cause is ` +
        `fixed, call Consumers.resume('${name}') or restart the application.`,
      failure.error,
    );
  }

  /** Commits the outcome of an event together with the checkpoint after it. */
  async #finish(
    at: LogPlace,
    work: (transaction: CheckpointTransaction) => Promise<void>,
  ): Promise<void> {
    const { cursor, checkpoints, consumer } = this;
    const progress = cursor.progress(at, 0);
    await checkpoints.transaction(cursor.held, consumer.settings.timeoutMs, async (transaction) => {
      await work(transaction);
      return progress;
    });
    cursor.hasSaved(progress);
  }
}
