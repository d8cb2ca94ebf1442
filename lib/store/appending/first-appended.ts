import type { EventStore } from '../event-store.ts';

/**
 * Records the first position that this process appends, until it is read.
 *
 * While an application starts, its modules may append before any reader listens. A reader that begins
 * with "now" begins before these events, because they belong to the running application.
 */
export class FirstAppended {
  #position = Infinity;
  readonly #unsubscribe: () => void;

  constructor(store: EventStore) {
    this.#unsubscribe = store.onAppended((records) => {
      for (const { position } of records) this.#position = Math.min(this.#position, position);
    });
  }

  /** Returns the position before that event, if there is one, and stops recording. */
  end(): number | undefined {
    this.#unsubscribe();
    return this.#position === Infinity ? undefined : this.#position - 1;
  }
}
