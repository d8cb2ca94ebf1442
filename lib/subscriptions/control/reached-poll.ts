import type { ConsumerRegistry, Reached } from '../consumer-registry.ts';
import { SharedQuestion } from './shared-question.ts';

/** Asks how far consumers have come: one question at a time, for all callers that wait by then. */
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

  /** Returns what the database says from now on; `undefined` if it does not know the consumer. */
  async ask(name: string): Promise<Reached | undefined> {
    this.#names.add(name);
    return (await this.#question.ask()).get(name);
  }
}
