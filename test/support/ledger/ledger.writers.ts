import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import type { AggregateRef } from '../../../lib/store/aggregate-ref.ts';
import type { EventStore } from '../../../lib/store/event-store.ts';
import { type Random, random } from '../random.ts';
import { UnrulyGuest } from '../unruly-guest.ts';
import { Deposited, type Movement, Withdrawn } from './ledger.events.ts';

const aggregates: readonly AggregateRef[] = Array.from({ length: 24 }, (_, n) => ({
  type: n % 3 === 0 ? 'wallet' : 'account',
  id: `${n}`,
}));

const rollback = new Error('rolled back on purpose');

/** Appends through every call of the store, some slow and some failing, until `stop` is called. */
export class LedgerWriters {
  readonly #store: EventStore;
  readonly #dataSource: DataSource;
  readonly #pauseMs: number;
  readonly #guest: UnrulyGuest;
  #writing = false;
  #writers: Promise<void>[] = [];
  #acknowledged = 0;

  constructor(store: EventStore, dataSource: DataSource, pauseMs: number) {
    this.#store = store;
    this.#dataSource = dataSource;
    this.#pauseMs = pauseMs;
    this.#guest = new UnrulyGuest(dataSource);
  }

  start(seed: number, count: number): void {
    this.#writing = true;
    this.#guest.start(random(seed - 1), 200);
    this.#writers = Array.from({ length: count }, (_, n) => this.#write(random(seed + n)));
  }

  /** Ends when all calls have ended; returns how many were acknowledged so far. */
  async stop(): Promise<number> {
    this.#writing = false;
    await this.#guest.stop();
    await Promise.all(this.#writers);
    return this.#acknowledged;
  }

  async #write(choices: Random): Promise<void> {
    while (this.#writing) {
      try {
        await this.#writeOnce(choices);
        this.#acknowledged += 1;
      } catch (error) {
        if (!isExpected(error)) throw error;
      }
      await delay(choices.integer(0, this.#pauseMs));
    }
  }

  async #writeOnce(choices: Random): Promise<void> {
    const events = () =>
      Array.from({ length: choices.integer(1, 4) }, () => movement(choices.integer(1, 100)));
    const append = (manager?: EntityManager) =>
      this.#store.append(choices.pick(aggregates), events(), manager ? { manager } : {});
    const pause = () => delay(choices.integer(0, 30));

    const kinds: Record<string, () => Promise<unknown>> = {
      plain: () => append(),
      burst: () => Promise.all(Array.from({ length: 5 }, () => append())),
      several: () =>
        this.#store.appendAll([
          { aggregate: choices.pick(aggregates), events: events() },
          { aggregate: choices.pick(aggregates), events: events() },
        ]),
      slow: () =>
        this.#dataSource.transaction(async (manager) => {
          await append(manager);
          await pause();
          if (choices.next() < 0.5) await append(manager);
          await pause();
        }),
      rolledBack: () =>
        this.#dataSource.transaction(async (manager) => {
          await append(manager);
          await pause();
          throw rollback;
        }),
      failingAtCommit: () =>
        this.#dataSource.transaction(async (manager) => {
          await append(manager);
          await manager.query(`INSERT INTO ledger.orphans VALUES ('nobody')`);
        }),
      sibling: () =>
        this.#dataSource.transaction((manager) => {
          const calls = [append(manager), pause().then(() => append(manager))];
          void Promise.allSettled(calls);
          return Promise.all([...calls, Promise.reject(rollback)]);
        }),
      repeated: () =>
        this.#store.transaction(
          async (manager) => {
            await append(manager);
            await pause();
            await append(manager);
          },
          { isolationLevel: choices.pick(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) },
        ),
      savepoint: () =>
        this.#dataSource.transaction(async (manager) => {
          await manager
            .transaction(async (inner) => {
              await append(inner);
              await pause();
              if (choices.next() < 0.6) throw rollback;
            })
            .catch((error: unknown) => {
              if (error !== rollback) throw error;
            });
          await append(manager);
          await pause();
        }),
    };
    await kinds[choices.pick(Object.keys(kinds))]!();
  }
}

const movement = (amount: number): Movement =>
  amount % 3 === 0 ? new Withdrawn(amount) : new Deposited(amount);

/** The errors of writers that conflict, or whose connections are cut. */
const expected = new Set([
  ...['TRANSACTION_CONFLICT', 'CONNECTION_LOST', 'AGGREGATE_LOCKED'],
  ...['57P01', '57P03', '25P03', 'ECONNREFUSED', 'ECONNRESET'],
  // Of a commit that was made to fail, and of connections that other code has left behind.
  ...['23503', '25P02', '25001', 'STATEMENT_FAILED', 'TRANSACTION_OVER', 'TRANSACTION_REQUIRED'],
]);

function isExpected(error: unknown): boolean {
  if (error === rollback) return true;
  const { code, message } = error as { code?: string; message: string };
  return (
    expected.has(code ?? '') ||
    /Connection terminated|Query read timeout|not queryable|connection error|already released/i.test(
      message,
    )
  );
}
