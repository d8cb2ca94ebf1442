/** What the consumer's own code threw, told apart from what went wrong around it. */
export class HandlerFailure extends Error {
  constructor(override readonly cause: unknown) {
    super('The handler failed.');
  }
}
