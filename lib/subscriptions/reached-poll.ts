import type { ConsumerRegistry, Reached } from './consumer-registry.ts';

/** Asks how far consumers have come: one question at a time, for everybody who wants to know by then. */
export class ReachedPoll {
  readonly #registry: ConsumerRegistry;
  #names = new Set<string>();
  #next: Promise<ReadonlyMap<string, Reached>> | undefined;
  #current: Promise<unknown> = Promise.resolve();

  constructor(registry: ConsumerRegistry) {
    this.#registry = registry;
  }

  /** Returns what the database says from now on; `undefined` if it does not know the consumer. */
  async ask(name: string): Promise<Reached | undefined> {
    this.#names.add(name);
    this.#next ??= this.#askNext();
    return (await this.#next).get(name);
  }

  async #askNext(): Promise<ReadonlyMap<string, Reached>> {
    await this.#current.catch(() => 'told to those who asked');
    const names = [...this.#names];
    this.#names = new Set();
    this.#next = undefined;
    const answer = this.#registry.reached(names);
    this.#current = answer;
    return answer;
  }
}
