import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import { errorOf } from '../../input/thrown-error.ts';
import type { AppendResult } from '../../store/event-store.ts';
import type { PreparedAppend } from '../../store/appending/prepare-append.ts';
import type { Consumer } from '../../subscriptions/consumer.ts';
import { runInDelivery } from '../../subscriptions/delivery.ts';
import { DurabilityUncertainError } from '../connection/errors/database.errors.ts';
import { HandlerTimeoutError } from '../../subscriptions/subscriptions.errors.ts';
import { within } from '../../input/with-timeout.ts';
import type { JoinedTransaction } from '../connection/transactions/transaction-scopes.ts';
import type { Database } from '../connection/database.ts';
import { InlineLock } from './inline-lock.ts';

/**
 * Applies inline projections in the transaction of the append: both commit, or neither does.
 *
 * In a caller's transaction append and projections stand behind a savepoint of their own, so that a
 * caller who catches the error and commits has stored neither.
 */
export class InlineProjections {
  readonly #database: Database;
  readonly #lock: InlineLock;
  #consumers: readonly {
    readonly consumer: Consumer;
    readonly prototypes: ReadonlySet<unknown>;
  }[] = [];

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#lock = new InlineLock(database, schema);
  }

  /** Takes over the inline projections of the application, which are known only after the store. */
  use(consumers: readonly Consumer[]): void {
    this.#consumers = consumers.map((consumer) => ({
      consumer,
      prototypes: new Set(consumer.events.map((each) => each.prototype as unknown)),
    }));
  }

  /** Returns the projections that some event of these appends is for. */
  concernedBy(appends: readonly PreparedAppend[]): readonly Consumer[] {
    if (this.#consumers.length === 0) return [];
    return this.#consumers
      .filter(({ consumer, prototypes }) =>
        appends.some(
          ({ aggregate, events }) =>
            (consumer.settings.aggregateTypes?.includes(aggregate.type) ?? true) &&
            events.some(({ event }) => prototypes.has(Object.getPrototypeOf(event))),
        ),
      )
      .map(({ consumer }) => consumer);
  }

  /**
   * Appends, and applies what was written to all projections that it concerns.
   *
   * `append` is given the manager to use; without any projection that is the caller's, if there is one.
   *
   * @throws InlineFailure if a projection fails; the append is rolled back.
   */
  async inTransactionWith(
    appends: readonly PreparedAppend[],
    joined: JoinedTransaction | undefined,
    append: (manager: EntityManager | undefined) => Promise<AppendResult[]>,
  ): Promise<AppendResult[]> {
    const concerned = this.concernedBy(appends);
    const work = async (inner: EntityManager): Promise<AppendResult[]> => {
      const names = concerned.map(({ name }) => name);
      const generations = await this.#lock.shared(names, inner);
      const results = await append(inner);
      for (const consumer of concerned) {
        const generation = generations.get(consumer.name) ?? 0;
        // While it is built for the first time, its runner finds these events in the log.
        if (generation > 0) await this.#apply(consumer, generation, newRecords(results), inner);
      }
      return results;
    };
    if (joined) {
      const { manager, scope } = joined;
      if (concerned.length > 0) return this.#database.nested(manager, work, scope);
      // Not inside the savepoint of another call either, which may be rolled back.
      return this.#database.inTurn(manager, () => append(manager), scope);
    }
    if (concerned.length === 0) return append(undefined);
    const { value, isReplicated } = await this.#database.commitTransaction(work);
    if (isReplicated) return value;
    throw new DurabilityUncertainError(appends.map(({ aggregate }) => aggregate));
  }

  async #apply(
    consumer: Consumer,
    generation: number,
    records: readonly EventRecord[],
    manager: EntityManager,
  ): Promise<void> {
    const { name, events, settings } = consumer;
    const due = records.filter(
      ({ event, aggregate }) =>
        events.some((each) => each.prototype === Object.getPrototypeOf(event)) &&
        (settings.aggregateTypes?.includes(aggregate.type) ?? true),
    );
    if (due.length === 0) return;
    const delivery = { consumer: name, generation, replayed: false, attempt: 1 };
    try {
      await within(
        settings.timeoutMs,
        runInDelivery(delivery, () => consumer.deliver(due, delivery, manager)),
        () => new HandlerTimeoutError(name, due[0]!.position, settings.timeoutMs),
      );
    } catch (error) {
      throw new InlineFailure(error);
    }
  }
}

/** What a projection threw, told apart from what went wrong with the append itself. */
export class InlineFailure extends Error {
  /** Safe to read: the append that fails with it must not fail to fail, or it would never settle. */
  override readonly cause: Error;

  constructor(thrown: unknown) {
    super('An inline projection failed.');
    this.cause = errorOf(thrown);
  }
}

/** The records that were written now, in the order of the log. */
export const newRecords = (results: readonly AppendResult[]): EventRecord[] =>
  results
    .flatMap((result) => (result.duplicate ? [] : result.records))
    .toSorted((a, b) => a.position - b.position);
