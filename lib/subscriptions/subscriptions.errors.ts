import { EventStoreError } from '../event-store.error.ts';

/** No consumer of this name was ever started on this store. */
export class UnknownConsumerError extends EventStoreError {
  readonly code = 'UNKNOWN_CONSUMER';

  constructor(
    readonly consumer: string,
    readonly known: readonly string[],
  ) {
    super(
      `There is no consumer '${consumer}' on this store. Known are: ` +
        `${known.length > 0 ? known.join(', ') : 'none yet'}. A consumer is known once an ` +
        'application that has it among its providers was started.',
    );
  }
}

/** A handler took longer than the consumer's `timeoutMs`. Its uncommitted changes are rolled back. */
export class HandlerTimeoutError extends EventStoreError {
  readonly code = 'HANDLER_TIMEOUT';

  constructor(
    readonly consumer: string,
    readonly position: number,
    readonly timeoutMs: number,
  ) {
    super(
      `The consumer '${consumer}' has not handled the event at position ${position} within ` +
        `${timeoutMs} ms (timeoutMs). Look for a promise that never settles, or raise the limit.`,
    );
  }
}

/** Several processes in a row ended while they handled the same event. */
export class HandlerCrashedError extends EventStoreError {
  readonly code = 'HANDLER_CRASHED';

  constructor(
    readonly consumer: string,
    readonly position: number,
    readonly takeovers: number,
  ) {
    super(
      `The consumer '${consumer}' was lost by ${takeovers} processes in a row before they had ` +
        `handled the event at position ${position}. It may be what ends them; look at their logs.`,
    );
  }
}

/**
 * The log is not the one that the consumer has read: an event that it has read is missing.
 *
 * This is detected by the checkpoint, and by what a running process remembers beyond it.
 */
export class HistoryDivergedError extends EventStoreError {
  readonly code = 'HISTORY_DIVERGED';

  constructor(
    readonly consumer: string,
    readonly position: number,
  ) {
    super(
      `The log no longer holds what the consumer '${consumer}' read up to position ${position}: ` +
        'the database was restored to an earlier time, or lost its last events in a failover. ' +
        'The consumer has stopped, and nothing was skipped. If its checkpoint and all that it has written ' +
        `were restored together with the log, call resume('${consumer}'). Otherwise, rebuild('${consumer}') ` +
        `builds it again from this log, and reset('${consumer}', position) lets it continue from a ` +
        'position that you have checked.',
    );
  }
}

/** A table that a hook of the projection has created is missing, but its checkpoint still exists. */
export class ReadModelLostError extends EventStoreError {
  readonly code = 'READ_MODEL_LOST';

  constructor(
    readonly consumer: string,
    readonly generation: number,
    /** The schema and the name of the table, quoted where necessary. */
    readonly table: string,
    readonly position: number,
  ) {
    super(
      `The table ${table}, which a hook of the consumer '${consumer}' made for its generation ` +
        `${generation}, was dropped, or was lost in a restore. What it counted up to position ` +
        `${position} is lost, also if there is a table of that name again. The consumer has stopped. ` +
        `Call rebuild('${consumer}') to build its read model from the log, or ` +
        `reset('${consumer}', ${position}) if you have checked that nothing is missing.`,
    );
  }
}

/** Another process holds the consumer by now, so nothing of this batch was committed. */
export class LeaseLostError extends EventStoreError {
  readonly code = 'LEASE_LOST';

  constructor(
    readonly consumer: string,
    readonly partition: number,
  ) {
    super(
      `This process no longer holds partition ${partition} of the consumer '${consumer}': its ` +
        'lease ran out or was taken back, and the batch was rolled back. The process that holds it now continues.',
    );
  }
}

/** The consumer did not reach the position in time. */
export class WaitTimeoutError extends EventStoreError {
  readonly code = 'WAIT_TIMEOUT';
  override readonly retryable = true;

  constructor(
    readonly consumer: string,
    readonly position: number,
    /** Its position at the last check; `undefined` if the database did not answer. */
    readonly reached: number | undefined,
    readonly timeoutMs: number,
    readonly reason: string | undefined,
  ) {
    super(
      `The consumer '${consumer}' ${reached === undefined ? '' : `is at position ${reached} and `}` +
        `did not reach ${position} within ${timeoutMs} ms. ` +
        (reason ?? 'It lags; see Consumers.list().'),
    );
  }
}

/** The consumer's state does not allow the request. Nothing was changed. */
export class ConsumerStateError extends EventStoreError {
  readonly code = 'CONSUMER_STATE';

  constructor(
    readonly consumer: string,
    readonly reason: string,
  ) {
    super(`The consumer '${consumer}' ${reason}`);
  }
}
