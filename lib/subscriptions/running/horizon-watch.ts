import type { EventStore } from '../../store/event-store.ts';
import { describeHolder, type HorizonHolder } from '../../store/reading/log-horizon.ts';
import type { OperatorLog } from '../../store/operator-log.ts';

/** Warns once of each open transaction that holds back the readers of the log for long. */
export class HorizonWatch {
  readonly #store: EventStore;
  readonly #log: OperatorLog;
  #holder: { readonly key: string; readonly seenAt: number; hasWarned: boolean } | undefined;

  constructor(store: EventStore, log: OperatorLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Looks for what holds back readers now; called from time to time. Never rejects. */
  async look(): Promise<void> {
    try {
      this.#compare((await this.#store.horizon()).holders[0]);
    } catch {
      // Reads of the log and renewals of leases report a database that does not answer.
    }
  }

  #compare(first: HorizonHolder | undefined): void {
    const key = first && `${first.pid} ${first.position}`;
    if (!key) this.#holder = undefined;
    else if (this.#holder?.key !== key) {
      this.#holder = { key, seenAt: performance.now(), hasWarned: false };
    } else if (!this.#holder.hasWarned && performance.now() - this.#holder.seenAt > patienceMs) {
      this.#holder.hasWarned = true;
      this.#log.warn(
        `A transaction stays open and holds back all consumers at position ${first.position}: ` +
          `${describeHolder(first)}, since ${first.since?.toISOString() ?? 'unknown'}. End it, or ` +
          'commit sooner after an append.',
      );
    }
  }
}

const patienceMs = 10_000;
