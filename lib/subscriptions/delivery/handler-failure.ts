import { errorOf } from '../../input/thrown-error.ts';

/** What the consumer's own code threw, as opposed to what went wrong around it. */
export class HandlerFailure extends Error {
  /** Safe to read: what deals with a failure must not fail itself, or an append would never settle. */
  override readonly cause: Error;

  constructor(thrown: unknown) {
    super('The handler failed.');
    this.cause = errorOf(thrown);
  }
}

/** Runs a handler or a hook of a consumer. @throws HandlerFailure with what it throws. */
export async function runHandler(handler: () => Promise<void> | void): Promise<void> {
  try {
    await handler();
  } catch (error) {
    throw new HandlerFailure(error);
  }
}
