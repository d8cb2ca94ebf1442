import type { ConsumerRegistry, Reached } from '../consumer-registry.ts';
import { SharedQuestion } from './shared-question.ts';

/**
 * Reads the progress of consumers with one query at a time, for all callers that wait when it is sent.
 */
export class ReachedPoll {
  readonly #question: SharedQuestion<ReadonlyMap<string, Reached>>;
  #names = new Set<string>();

  constructor(registry: ConsumerRegistry) {
    this.#question = new SharedQuestion(() => {
      const names = [...this.#names];
      this.#names = new Set();
      return registry.reached(names);
    });
  }

  /** Returns the progress as of now or later; `undefined` if the database does not know the consumer. */
  async ask(name: string): Promise<Reached | undefined> {
    this.#names.add(name);
    return (await this.#question.ask()).get(name);
  }
}
