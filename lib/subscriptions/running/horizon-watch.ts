import type { EventStore, HorizonHolder } from '../../store/event-store.ts';
import type { RunnerLog } from './runner-log.ts';

/** Tells when an open transaction has held back the readers of the log for long, once for each. */
export class HorizonWatch {
  readonly #store: EventStore;
  readonly #log: RunnerLog;
  #holder: { readonly key: string; readonly seenAt: number; told: boolean } | undefined;

  constructor(store: EventStore, log: RunnerLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Looks at who holds back readers now; called from time to time. Never rejects. */
  async look(): Promise<void> {
    try {
      this.#compare((await this.#store.horizon()).holders[0]);
    } catch {
      // Whoever reads the log or renews a lease tells of a database that does not answer.
    }
  }

  #compare(first: HorizonHolder | undefined): void {
    const key = first && `${first.pid} ${first.position}`;
    if (!key) this.#holder = undefined;
    else if (this.#holder?.key !== key) {
      this.#holder = { key, seenAt: performance.now(), told: false };
    } else if (!this.#holder.told && performance.now() - this.#holder.seenAt > patienceMs) {
      this.#holder.told = true;
      this.#log.warn(
        `A transaction stays open and holds back all consumers at position ${first.position}: ` +
          `${describeHolder(first)}, since ${first.since?.toISOString() ?? 'unknown'}. End it, or ` +
          'commit sooner after an append.',
      );
    }
  }
}

/** Names who holds back readers, and by which lock: any role of the database can take it. */
export function describeHolder({ pid, role, applicationName, lock }: HorizonHolder): string {
  const process =
    pid === null
      ? 'a prepared transaction'
      : `process ${pid} of the database, role '${role ?? 'unknown'}', application ` +
        `'${applicationName ?? 'hidden'}'`;
  return `${process}, by advisory lock (${lock.classid}, ${lock.objid})`;
}

const patienceMs = 10_000;
