import { errorOf } from '../../input/thrown-error.ts';

/** An error that the consumer's own code threw, as opposed to a failure around it. */
export class HandlerFailure extends Error {
  /** Safe to read: code that handles a failure must not fail itself, or an append would never settle. */
  override readonly cause: Error;

  constructor(thrown: unknown) {
    super('The handler failed.');
    this.cause = errorOf(thrown);
  }
}

/** Runs a handler or a hook of a consumer. @throws HandlerFailure with the error that it throws. */
export async function runHandler(handler: () => Promise<void> | void): Promise<void> {
  try {
    await handler();
  } catch (error) {
    throw new HandlerFailure(error);
  }
}
