import assert from 'node:assert/strict';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventCodec } from '../events/payload/event-codec.ts';
import type { EventData } from '../events/event-data.ts';
import type { EventRecord } from '../events/event-record.ts';
import { KnownOptions } from '../input/known-options.ts';
import { projectionConsumer } from '../projections/projection-consumer.ts';
import { projectionOf } from '../projections/projection.decorator.ts';
import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { Append } from '../store/appending/append.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { runInDelivery } from '../subscriptions/delivery/delivery.ts';
import { recordsFor } from './records-for.ts';

export interface ProjectionScenarioOptions {
  /** An open data source of a PostgreSQL database for tests; the scenario uses one connection. */
  readonly dataSource: DataSource;
  /** The codec of the store, which decides what an event can contain. @default new JsonCodec() */
  readonly codec?: EventCodec;
  /** When the events were recorded. @default now */
  readonly recordedAt?: Date;
}

const scenarioOptions = new KnownOptions<ProjectionScenarioOptions>('projectionScenario', {
  dataSource: true,
  codec: true,
  recordedAt: true,
});

/** Reads rows of a read model, in the transaction that has applied the events. */
export type RowQuery = (manager: EntityManager) => Promise<readonly object[]>;

/**
 * Starts a test of a projection, given as a class without constructor parameters or as an instance:
 * given these events, then these rows in a real PostgreSQL database.
 *
 * If the projection has `prepare` and `activate`, they are called first, as for generation 1. The
 * events are delivered as a store returns them, all in one transaction, which is rolled back at the
 * end: only what was written without the `manager` stays. Existing tables are used with the rows in
 * them.
 *
 * Everything runs twice, with all events in one batch and with each event in a batch of its own,
 * because a projection must not depend on how the log is divided into batches. Works under any test
 * runner: an unmet expectation throws an `AssertionError` of `node:assert`.
 *
 * @example
 * await projectionScenario(AccountList, { dataSource })
 *   .given('account-1', new AccountOpened('Ada'), new MoneyDeposited(100))
 *   .given('account-2', new AccountOpened('Bob'))
 *   .given('account-1', new AccountClosed())
 *   .then('SELECT id, owner FROM account_list ORDER BY id', [{ id: 'account-2', owner: 'Bob' }]);
 *
 * @throws TypeError if the class has parameters, no `@Projection`, or an invalid one.
 */
export function projectionScenario(
  projection: object | (new () => object),
  options: ProjectionScenarioOptions,
): ProjectionScenario {
  return new ProjectionScenario(projection, scenarioOptions.take(options));
}

/** A scenario with the events that happened, which then checks the read model. */
export class ProjectionScenario {
  readonly #consumer: Consumer;
  readonly #options: ProjectionScenarioOptions;
  readonly #appends: Append[] = [];

  constructor(projection: object | (new () => object), options: ProjectionScenarioOptions) {
    this.#consumer = consumerOf(projection);
    this.#options = options;
  }

  /**
   * Adds events of one aggregate to the log, `EventData` among them; call it as often as needed.
   *
   * An id alone means an aggregate of the first type that the projection takes, or of the type
   * `'scenario'` if it takes all types. Events that the projection does not take are skipped, as
   * always.
   */
  given(aggregate: AggregateRef | string, ...events: readonly (object | EventData)[]): this {
    const type = this.#consumer.settings.aggregateTypes?.[0] ?? 'scenario';
    const ref = typeof aggregate === 'string' ? { type, id: aggregate } : aggregate;
    this.#appends.push({ aggregate: ref, events });
    return this;
  }

  /**
   * Expects a query to return exactly these rows, in this order. Call it again for further queries.
   *
   * Values are compared as the driver returns them: a `bigint` of PostgreSQL, for example, is a string.
   *
   * @throws any error of the projection or the query, and those of `append` for invalid events.
   */
  then(query: string | RowQuery, rows: readonly object[]): Promise<void> {
    // Thrown at once; otherwise an `await` would never end.
    if (typeof rows === 'function') {
      throw new TypeError(
        'A scenario is not a promise: do not await given(…), end it with then(query, rows).',
      );
    }
    return this.#expect(query, rows.map(plain));
  }

  /** Expects the projection to throw an error of this class, or one whose text matches. */
  async thenThrows(expected: RegExp | (abstract new (...args: never[]) => Error)): Promise<void> {
    const records = await recordsFor(this.#consumer, this.#appends, this.#options);
    for (const batches of [[records], oneByOne(records)]) {
      await assert.rejects(
        this.#rowsAfter(batches, async () => []),
        expected as RegExp,
      );
    }
  }

  async #expect(query: string | RowQuery, expected: readonly object[]): Promise<void> {
    const records = await recordsFor(this.#consumer, this.#appends, this.#options);
    assert.deepEqual(await this.#rowsAfter([records], query), expected);
    const cutMatters =
      `The projection '${this.#consumer.name}' gives the expected rows for all events in one batch, ` +
      'but not for each in a batch of its own. It must not depend on how the log is cut: let every ' +
      'batch continue from what is in the tables.';
    const rows = await this.#rowsAfter(oneByOne(records), query).catch((error: unknown) => {
      throw new Error(`${cutMatters} It failed: ${String(error)}`, { cause: error });
    });
    assert.deepEqual(rows, expected, cutMatters);
  }

  async #rowsAfter(
    batches: readonly (readonly EventRecord[])[],
    query: string | RowQuery,
  ): Promise<readonly object[]> {
    const { name, hooks } = this.#consumer;
    const delivery = { consumer: name, generation: 1, replayed: false, attempt: 1 };
    return rolledBack(this.#options.dataSource, async (manager) => {
      await hooks.prepare?.({ generation: 1, manager });
      await hooks.activate?.({ generation: 1, manager });
      for (const batch of batches) {
        if (batch.length === 0) continue;
        await runInDelivery(delivery, () => this.#consumer.deliver(batch, delivery, manager));
      }
      const rows: readonly object[] =
        typeof query === 'string' ? await manager.query(query) : await query(manager);
      return rows.map(plain);
    });
  }
}

function consumerOf(projection: object | (new () => object)): Consumer {
  const instance =
    typeof projection === 'function' ? made(projection as new () => object) : projection;
  const { constructor } = instance;
  const definition = projectionOf(constructor as new () => object);
  if (!definition) {
    throw new TypeError(`The class ${constructor.name} has no @Projection of its own. Add it.`);
  }
  const { consumer, problems } = projectionConsumer(instance, definition);
  if (problems.length > 0) throw new TypeError(problems.join('\n'));
  return consumer;
}

function made(projectionClass: new () => object): object {
  if (projectionClass.length === 0) return new projectionClass();
  throw new TypeError(
    `The constructor of ${projectionClass.name} has parameters. Give the scenario an instance.`,
  );
}

const oneByOne = (records: readonly EventRecord[]) => records.map((record) => [record]);

/** A row without its class, so that an entity equals the literal that describes it. */
const plain = (row: object): object => ({ ...row });

/** Runs work in a transaction and rolls it back. */
async function rolledBack<T>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const queryRunner = dataSource.createQueryRunner();
  try {
    await queryRunner.startTransaction('READ COMMITTED');
    return await work(queryRunner.manager);
  } finally {
    if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction();
    await queryRunner.release();
  }
}
