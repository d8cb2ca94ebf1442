import { escapeUnprintable } from './input/printable-name.ts';

/** What is known about a failed write: nothing of it was stored, or that is unknown. */
export type FailureOutcome = 'not-applied' | 'unknown';

/**
 * The base of every error that this library throws.
 *
 * `code` is constant for a class and safe to match on across versions and module copies. The facts of
 * the case are readonly fields of the subclass. Messages never contain payloads or credentials. `cause`
 * is the error that led to this one, often the driver's own error, and may contain them.
 */
export abstract class EventStoreError extends Error {
  abstract readonly code: string;

  /**
   * Whether the same call may succeed later without a change of code, data or configuration.
   *
   * Inside a transaction of the caller, repeat the whole transaction from its beginning.
   */
  readonly retryable: boolean = false;

  /**
   * What became of the append, or other write, that failed.
   *
   * After `'unknown'`, repeat an append only with the same event ids: it is then never stored twice.
   */
  readonly outcome: FailureOutcome = 'not-applied';

  constructor(message: string, options?: ErrorOptions) {
    // Names and reasons in the message may be foreign input, and must stay on one line of a log.
    super(escapeUnprintable(message), options);
    this.name = new.target.name;
  }
}
