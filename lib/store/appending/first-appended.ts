import type { EventStore } from '../event-store.ts';

/**
 * Notes the first position that this process appends, until it is asked for it.
 *
 * While an application starts, its modules may append before anybody listens. A reader that begins with
 * "now" begins before these events: they are what the application has to say since it was started.
 */
export class FirstAppended {
  #position = Infinity;
  readonly #unsubscribe: () => void;

  constructor(store: EventStore) {
    this.#unsubscribe = store.onAppended((records) => {
      for (const { position } of records) this.#position = Math.min(this.#position, position);
    });
  }

  /** Returns the position before that event, if there is one, and stops noting. */
  end(): number | undefined {
    this.#unsubscribe();
    return this.#position === Infinity ? undefined : this.#position - 1;
  }
}
