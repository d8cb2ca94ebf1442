import type { EventRecord } from '../../events/event-record.ts';
import type { AppendListener } from './append.ts';

/** The listeners of appends. A listener that throws never fails the append. */
export class AppendListeners {
  readonly #listeners = new Set<AppendListener>();
  readonly #warn: (message: string, error: unknown) => void;

  constructor(warn: (message: string, error: unknown) => void) {
    this.#warn = warn;
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
        this.#warn('A listener of appended events threw; the append has succeeded.', error);
      }
    }
  }
}
