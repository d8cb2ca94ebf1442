/**
 * The base of every error that this library throws.
 *
 * `code` is constant for a class and safe to match on across versions and module copies; the facts
 * of the case are readonly fields of the subclass; the error that led here is kept as `cause`.
 * Messages never contain payloads or credentials.
 */
export abstract class EventStoreError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
