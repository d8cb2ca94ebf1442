import type { EventRecord } from '../../events/event-record.ts';
import type { AppendListener } from '../event-store.ts';

/** The listeners of appends. One that throws never fails the append. */
export class AppendListeners {
  readonly #listeners = new Set<AppendListener>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(listener: AppendListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(records: readonly EventRecord[]): void {
    if (records.length === 0) return;
    for (const listener of this.#listeners) {
      try {
        listener(records);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
