import { escapeUnprintable } from './input/printable-name.ts';

/** What is known of a write that failed: nothing of it was stored, or it is unknown. */
export type FailureOutcome = 'not-applied' | 'unknown';

/**
 * The base of every error that this library throws.
 *
 * `code` is constant for a class and safe to match on across versions and module copies; the facts
 * of the case are readonly fields of the subclass; the error that led here is kept as `cause`.
 * Messages never contain payloads or credentials. The `cause` is the driver's own error and may.
 */
export abstract class EventStoreError extends Error {
  abstract readonly code: string;

  /**
   * Whether the same call may succeed later though code, data and configuration stay as they are.
   *
   * In a transaction of the caller, that is the whole transaction from its beginning.
   */
  readonly retryable: boolean = false;

  /**
   * What became of the append, or other write, that failed.
   *
   * After `'unknown'` repeat an append with the same event ids only, which never stores it twice.
   */
  readonly outcome: FailureOutcome = 'not-applied';

  constructor(message: string, options?: ErrorOptions) {
    // Names and reasons in it may come from other hands, and must stay on one line of a log.
    super(escapeUnprintable(message), options);
    this.name = new.target.name;
  }
}
