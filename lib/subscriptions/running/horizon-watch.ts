import type { EventStore } from '../../store/event-store.ts';
import { describeOpenAppend, type OpenAppend } from '../../store/reading/log-horizon.ts';
import type { OperatorLog } from '../../store/operator-log.ts';

/** Warns once about each open transaction that holds back the readers of the log for long. */
export class HorizonWatch {
  readonly #store: EventStore;
  readonly #log: OperatorLog;
  #watched: { readonly key: string; readonly seenAt: number; hasWarned: boolean } | undefined;

  constructor(store: EventStore, log: OperatorLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Checks what holds back readers now; called regularly. Never rejects. */
  async look(): Promise<void> {
    try {
      this.#compare((await this.#store.horizon()).openAppends[0]);
    } catch {
      // Reads of the log and renewals of leases already report a database that does not answer.
    }
  }

  #compare(first: OpenAppend | undefined): void {
    const key = first && `${first.pid} ${first.position}`;
    if (!key) this.#watched = undefined;
    else if (this.#watched?.key !== key) {
      this.#watched = { key, seenAt: performance.now(), hasWarned: false };
    } else if (!this.#watched.hasWarned && performance.now() - this.#watched.seenAt > patienceMs) {
      this.#watched.hasWarned = true;
      this.#log.warn(
        `A transaction stays open and holds back all consumers at position ${first.position}: ` +
          `${describeOpenAppend(first)}, since ${first.since?.toISOString() ?? 'unknown'}. End it, or ` +
          'commit sooner after an append.',
      );
    }
  }
}

const patienceMs = 10_000;
