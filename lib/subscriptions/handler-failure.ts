import { errorOf } from '../input/thrown-error.ts';

/** What the consumer's own code threw, told apart from what went wrong around it. */
export class HandlerFailure extends Error {
  /** Safe to read: everything that deals with failures begins here. */
  override readonly cause: Error;

  constructor(thrown: unknown) {
    super('The handler failed.');
    this.cause = errorOf(thrown);
  }
}
