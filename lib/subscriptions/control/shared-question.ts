/**
 * Asks a question for all its callers, one question at a time, each begun after the calls that it
 * answers.
 */
export class SharedQuestion<Answer> {
  readonly #question: () => Promise<Answer>;
  #next: Promise<Answer> | undefined;
  #current: Promise<unknown> = Promise.resolve();

  constructor(question: () => Promise<Answer>) {
    this.#question = question;
  }

  /** Returns the answer to a question that is asked from now on: one that has begun may be too old. */
  ask(): Promise<Answer> {
    this.#next ??= this.#askNext();
    return this.#next;
  }

  async #askNext(): Promise<Answer> {
    await this.#current.catch(ignore);
    this.#next = undefined;
    const answer = this.#question();
    this.#current = answer;
    return answer;
  }
}

// Its own callers are rejected with it.
const ignore = (): void => undefined;
