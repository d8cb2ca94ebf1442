import type { EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import type { AppendResult } from '../../store/appending/append.ts';
import type { PreparedAppend } from '../../store/appending/prepared-append.ts';
import type { Consumer } from '../../subscriptions/consumer.ts';
import { DurabilityUncertainError } from '../connection/errors/database.errors.ts';
import { callConsumer } from '../../subscriptions/delivery/call-consumer.ts';
import { type EventFilter, eventFilterOf } from '../../subscriptions/delivery/event-filter.ts';
import type { JoinedTransaction } from '../connection/transactions/transaction-scopes.ts';
import type { Database } from '../connection/database.ts';
import { InlineLock } from './inline-lock.ts';

interface InlineProjection {
  readonly consumer: Consumer;
  readonly takes: EventFilter;
}

/**
 * Applies inline projections in the transaction of the append: both commit, or neither does.
 *
 * In a caller's transaction, the append and the projections run after a savepoint of their own. If the
 * caller catches their error and commits, neither is stored.
 */
export class InlineProjections {
  readonly #database: Database;
  readonly #lock: InlineLock;
  #projections: readonly InlineProjection[] = [];

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#lock = new InlineLock(database, schema);
  }

  /**
   * Sets the inline projections of the application, which are known only after the store was created.
   */
  use(consumers: readonly Consumer[]): void {
    this.#projections = consumers.map((consumer) => ({ consumer, takes: eventFilterOf(consumer) }));
  }

  /** Returns the projections that take at least one event of these appends. */
  concernedBy(appends: readonly PreparedAppend[]): readonly InlineProjection[] {
    if (this.#projections.length === 0) return [];
    return this.#projections.filter(({ takes }) =>
      appends.some(({ aggregate, events }) =>
        events.some(({ event }) => takes({ event, aggregate })),
      ),
    );
  }

  /**
   * Appends, and applies the written events to all projections that they concern.
   *
   * `append` receives the manager to use; without any projection this is the caller's, if there is one.
   *
   * @throws HandlerFailure if a projection fails; the append is rolled back.
   */
  async inTransactionWith(
    appends: readonly PreparedAppend[],
    joined: JoinedTransaction | undefined,
    append: (manager: EntityManager | undefined) => Promise<AppendResult[]>,
  ): Promise<AppendResult[]> {
    const concerned = this.concernedBy(appends);
    const work = async (inner: EntityManager): Promise<AppendResult[]> => {
      const names = concerned.map(({ consumer }) => consumer.name);
      const generations = await this.#lock.shared(names, inner);
      const results = await append(inner);
      const records = newRecords(results);
      for (const { consumer, takes } of concerned) {
        const generation = generations.get(consumer.name) ?? 0;
        // During the first build, the runner of the projection finds these events in the log.
        if (generation === 0) continue;
        const due = records.filter(takes);
        const attempt = { generation, replayed: false, attempt: 1 };
        if (due.length > 0) await callConsumer(consumer, due, attempt, inner);
      }
      return results;
    };
    if (joined) {
      const { manager, scope } = joined;
      if (concerned.length > 0) return this.#database.nested(manager, work, scope);
      // Nor may it run inside the savepoint of another call, which may be rolled back.
      return this.#database.inTurn(manager, () => append(manager), scope);
    }
    if (concerned.length === 0) return append(undefined);
    const { value, isReplicated } = await this.#database.commitTransaction(work);
    if (isReplicated) return value;
    throw new DurabilityUncertainError(appends.map(({ aggregate }) => aggregate));
  }
}

/** Returns the records that were written by this call, in the order of the log. */
export const newRecords = (results: readonly AppendResult[]): EventRecord[] =>
  results
    .flatMap((result) => (result.duplicate ? [] : result.records))
    .toSorted((a, b) => a.position - b.position);
