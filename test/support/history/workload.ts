import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { EventData } from '../../../lib/events/event-data.ts';
import type { Append, AppendResult } from '../../../lib/store/appending/append.ts';
import type { EventStore } from '../../../lib/store/event-store.ts';
import type { ExpectedVersion } from '../../../lib/store/appending/expected-version.ts';
import { Deposited, Withdrawn } from '../ledger/ledger.events.ts';
import { type Random, random } from '../random.ts';
import { type Misdeeds, UnrulyGuest } from '../unruly-guest.ts';
import { describeFailure, rolledBack } from './failure.ts';
import type { IntendedAppend } from './history.ts';
import { type Journal, now } from './journal.ts';

export interface WorkloadOptions {
  readonly seed: number;
  /** A name that no other process has. */
  readonly name: string;
  readonly writers: number;
  /** Where each reader of this process continues. */
  readonly readers: readonly { readonly name: string; readonly after: number }[];
  /** The longest pause of a writer. */
  readonly pauseMs: number;
  /** Whether other code of the application leaves connections behind in every bad state. */
  readonly hasGuest?: boolean;
}

interface Movements extends Append {
  readonly intended: IntendedAppend;
}

const shared = Array.from({ length: 12 }, (_, n) => ({
  type: n % 3 === 0 ? 'wallet' : 'account',
  id: `${n}`,
}));

/** Appends through every call of the store, reads the log meanwhile, and records all of it. */
export class Workload {
  readonly #store: EventStore;
  readonly #dataSource: DataSource;
  readonly #journal: Journal;
  readonly #guest: UnrulyGuest;
  #isRunning = false;
  #running: Promise<void>[] = [];
  /** How many calls were acknowledged. */
  acknowledged = 0;
  /** By writer, the start of its last acknowledged call. */
  readonly #acknowledged = new Map<string, number>();

  constructor(store: EventStore, dataSource: DataSource, journal: Journal) {
    this.#store = store;
    this.#dataSource = dataSource;
    this.#journal = journal;
    this.#guest = new UnrulyGuest(dataSource);
  }

  /** What other code of the application has done to its connections. */
  get misdeeds(): Misdeeds {
    return this.#guest.misdeeds;
  }

  /** The start of the last acknowledged call, of the writer for which that is longest ago. */
  get lastAcknowledged(): number {
    return Math.min(...this.#acknowledged.values());
  }

  start({ seed, name, writers, readers, pauseMs, hasGuest }: WorkloadOptions): void {
    this.#isRunning = true;
    if (hasGuest) this.#guest.start(random(seed - 1_000));
    this.#running = [
      ...Array.from({ length: writers }, (_, n) =>
        this.#write(`${name}-${n}`, random(seed + n), pauseMs),
      ),
      ...readers.map((reader, n) => this.#read(reader.name, reader.after, random(seed - n - 1))),
    ];
  }

  /** Resolves when all calls have ended, and all readers have reached the end of the log. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#guest.stop();
    await Promise.all(this.#running);
    this.#journal.close();
  }

  async #write(by: string, choices: Random, pauseMs: number): Promise<void> {
    this.#acknowledged.set(by, 0);
    const own = { type: 'account', id: by };
    let ownVersion = 0;
    const any = (expectedVersion?: ExpectedVersion) =>
      movements(choices.pick(shared), choices, expectedVersion);
    const append = ({ aggregate, events, expectedVersion }: Movements, manager?: EntityManager) =>
      this.#store.append(aggregate, events, { expectedVersion, ...(manager && { manager }) });
    const plainly = (one: Movements) =>
      this.#untilKnown(by, choices, [one], async () => [await append(one)]);
    const inTransaction = (
      ending: 'commits' | 'rolls back' | 'fails at its commit' | 'has a failing sibling',
      run: { transaction: RunTransaction } = this.#dataSource,
    ) => {
      const several = [any(), any()];
      const send = () =>
        run.transaction(async (manager) => {
          if (ending === 'has a failing sibling') {
            const calls = several.map(async (each) => {
              // Before the transaction ends, while it does, or after that.
              for (let turns = choices.integer(0, 15); turns > 0; turns--) await Promise.resolve();
              return append(each, manager);
            });
            void Promise.allSettled(calls);
            return Promise.all([...calls, Promise.reject(rolledBack)]);
          }
          const results: AppendResult[] = [];
          for (const each of several) {
            results.push(await append(each, manager));
            await delay(choices.integer(0, 15));
          }
          if (ending === 'rolls back') throw rolledBack;
          if (ending === 'fails at its commit') await manager.query(failsAtCommit);
          return results;
        });
      return this.#untilKnown(by, choices, several, send, 'transaction');
    };

    const kinds: Record<string, () => Promise<unknown>> = {
      plain: () => plainly(any()),
      burst: () => Promise.all(Array.from({ length: 5 }, () => plainly(any()))),
      // No other writer appends to it, so the expectation always holds.
      own: async () => {
        const results = await plainly(movements(own, choices, ownVersion));
        if (results) ownVersion = results[0]!.version;
      },
      contended: async () => {
        const aggregate = choices.pick(shared);
        const version = await this.#readVersion(by, aggregate);
        if (version !== undefined) await plainly(movements(aggregate, choices, version));
      },
      together: () => {
        const several = [any(), any()];
        const appends = several.map(({ aggregate, events, expectedVersion }) => {
          return { aggregate, events, expectedVersion };
        });
        return this.#untilKnown(by, choices, several, () => this.#store.appendAll(appends));
      },
      transaction: () => inTransaction('commits'),
      repeated: () => inTransaction('commits', this.#store),
      rolledBack: () => inTransaction('rolls back'),
      failingAtCommit: () => inTransaction('fails at its commit'),
      sibling: () => inTransaction('has a failing sibling'),
    };
    const weighted = [...Object.keys(kinds), 'plain', 'own', 'own', 'burst'];
    while (this.#isRunning) {
      await kinds[choices.pick(weighted)]!();
      await delay(choices.integer(0, pauseMs));
    }
  }

  /** Repeats a call with the same ids while its outcome is unknown. */
  async #untilKnown(
    by: string,
    choices: Random,
    several: readonly Movements[],
    send: () => Promise<readonly AppendResult[]>,
    where: 'store' | 'transaction' = 'store',
  ): Promise<readonly AppendResult[] | undefined> {
    const appends = several.map(({ intended }) => intended);
    do {
      const call = this.#journal.call(by, appends);
      try {
        const results = await send();
        const answers = results.map(({ version, records }) => ({
          version,
          positions: records.map(({ position }) => position),
        }));
        call.end({ outcome: 'acknowledged', answers });
        this.#acknowledged.set(by, call.startedAt);
        this.acknowledged += 1;
        return results;
      } catch (error) {
        const failure = describeFailure(error, where);
        call.end(failure);
        if (failure.outcome === 'refused') return undefined;
      }
      await delay(choices.integer(5, 60));
    } while (this.#isRunning);
    return undefined;
  }

  async #readVersion(by: string, aggregate: Append['aggregate']): Promise<number | undefined> {
    const startedAt = now();
    try {
      const version = await this.#store.currentVersion(aggregate);
      this.#journal.version({ aggregate: nameOf(aggregate), version, startedAt, endedAt: now() });
      return version;
    } catch (error) {
      this.#journal.call(by, []).end(describeFailure(error));
      return undefined;
    }
  }

  async #read(reader: string, from: number, choices: Random): Promise<void> {
    let after = from;
    for (;;) {
      const isLast = !this.#isRunning;
      try {
        const { position, records } = await this.#store.fetch(after, {
          limit: choices.integer(1, 100),
        });
        if (position !== after || records.length > 0) {
          const events = records.map((record) => ({ position: record.position, id: record.id }));
          this.#journal.page({ reader, after, position, events });
        }
        after = position;
        if (records.length > 0) continue;
      } catch (error) {
        this.#journal.call(reader, []).end(describeFailure(error));
      }
      if (isLast) return;
      await delay(choices.integer(1, 10));
    }
  }
}

type RunTransaction = <T>(work: (manager: EntityManager) => Promise<T>) => Promise<T>;

/** A deferred constraint, which the COMMIT checks. */
const failsAtCommit = `INSERT INTO ledger.orphans VALUES ('nobody')`;

const nameOf = ({ type, id }: Append['aggregate']): string => `${type}/${id}`;

/** A few events with ids, as they are appended, and as they are written down. */
function movements(
  aggregate: Append['aggregate'],
  choices: Random,
  expectedVersion: ExpectedVersion = 'any',
): Movements {
  const events = Array.from({ length: choices.integer(1, 4) }, () => {
    const amount = choices.integer(1, 100);
    const isDeposit = amount % 3 !== 0;
    return {
      data: new EventData(isDeposit ? new Deposited(amount) : new Withdrawn(amount), {
        id: randomUUID(),
      }),
      body: `ledger.${isDeposit ? 'deposited' : 'withdrawn'} {"amount":${amount}}`,
    };
  });
  return {
    aggregate,
    expectedVersion,
    events: events.map(({ data }) => data),
    intended: {
      aggregate: nameOf(aggregate),
      expectedVersion,
      events: events.map(({ data, body }) => ({ id: data.id!, body })),
    },
  };
}
