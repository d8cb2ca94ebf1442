import { createHash } from 'node:crypto';
import type {
  Client,
  ClientBase,
  ClientConfig,
  Pool,
  PoolClient,
  QueryResult,
  QueryResultRow,
} from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { TransactionRequiredError } from '../store/store.errors.ts';
import { columnTypes } from './column-types.ts';
import { isConnectionSpoilt, isOutcomeUnknown } from './postgres-errors.ts';
import { type Committed, watchingReplication } from './replication-wait.ts';
import { revocable } from './revocable-manager.ts';
import { noteRole } from './trouble.ts';
import { inTurn } from './turns.ts';

/** One statement of the store. Its name is a digest of the text, so no two texts share a name. */
export class Statement {
  readonly name: string;

  constructor(readonly text: string) {
    this.name = `event_store_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  }
}

/**
 * Runs the store's statements on the raw `pg` clients of TypeORM's pool.
 *
 * Each statement is prepared once per connection, unless told otherwise for a pooler that cannot
 * keep prepared statements. Values come back as the store needs them, whatever type parsers the
 * application has set for itself.
 */
export class Database {
  readonly #preparedStatements: boolean;

  constructor(
    readonly dataSource: DataSource,
    options: { readonly preparedStatements: boolean },
  ) {
    this.#preparedStatements = options.preparedStatements;
  }

  get #pool(): Pool | undefined {
    const pool = (this.dataSource.driver as unknown as { master?: Pool }).master;
    if (pool && !guardedPools.has(pool)) {
      guardedPools.add(pool);
      // A connection lost between two statements says so by an event, which would end the process if
      // nobody listened, as in the moment in which the pool hands it to somebody. The pool sorts such a
      // client out when it is released.
      pool.on('connect', (client) => client.on('error', ignore));
    }
    return pool;
  }

  /** How many connections the pool may have; the driver's default before it has a pool. */
  get poolSize(): number {
    return this.#pool?.options.max ?? 10;
  }

  /** Runs one statement: on the manager's connection, inside its transaction, or on any other. */
  async query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    manager?: EntityManager,
  ): Promise<Row[]> {
    if (manager) return this.queryOn(queryRunnerOf(manager), statement, values);
    return this.#onAnyClient((client) => this.run(client, statement, values));
  }

  /**
   * Runs one statement like `query`, and tells whether its standby has it too.
   *
   * In a manager's transaction there is nothing to tell: its COMMIT is still to come.
   */
  async commit<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    manager?: EntityManager,
  ): Promise<Committed<Row[]>> {
    if (manager) {
      return { value: await this.query<Row>(statement, values, manager), isReplicated: true };
    }
    return watchingReplication((watch) =>
      this.#onAnyClient((client) => {
        watch(client);
        return this.run<Row>(client, statement, values);
      }),
    );
  }

  /** Runs one statement on the connection of a query runner. */
  async queryOn<Row extends QueryResultRow>(
    queryRunner: QueryRunner,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return this.run((await queryRunner.connect()) as PoolClient, statement, values);
  }

  /**
   * Runs work in the manager's transaction, behind all that was begun in it through here before.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   */
  async inTurn<T>(manager: EntityManager, work: () => Promise<T>): Promise<T> {
    return inTurn(queryRunnerOf(manager), work);
  }

  /**
   * Runs work behind a savepoint of the manager's transaction, which stays usable if the work fails.
   * Nothing else may run in the transaction meanwhile; see `inTurn`.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   */
  async nested<T>(manager: EntityManager, work: (inner: EntityManager) => Promise<T>): Promise<T> {
    return queryRunnerOf(manager).manager.transaction((inner) => this.#lend(inner, work));
  }

  async #lend<T>(manager: EntityManager, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const lent = revocable(this.dataSource, manager);
    try {
      return await work(lent.manager);
    } finally {
      lent.revoke();
    }
  }

  /**
   * Runs work in a transaction of its own. The manager it is given sends nothing any more once the work
   * has settled, whoever still has it.
   */
  async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction('READ COMMITTED', (manager) => this.#lend(manager, work));
  }

  /** Runs work in a transaction of its own, and tells whether its standby has it too. */
  async commitTransaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<Committed<T>> {
    return watchingReplication((watch) =>
      this.transaction(async (manager) => {
        watch((await queryRunnerOf(manager).connect()) as PoolClient);
        return work(manager);
      }),
    );
  }

  /** Makes a connection outside of the pool, to the same database. */
  newClient(options: ClientConfig): Client {
    const pool = this.#pool as
      (Pool & { Client: new (config: ClientConfig) => Client }) | undefined;
    if (!pool) throw new Error('the data source is not initialized');
    return new pool.Client({ ...(pool.options as ClientConfig), ...options });
  }

  async #onAnyClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let isSpoilt = false;
    try {
      return await work(client);
    } catch (error) {
      isSpoilt = isConnectionSpoilt(error);
      throw error;
    } finally {
      client.release(isSpoilt);
    }
  }

  #connect(): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      const pool = this.#pool;
      if (!pool) {
        reject(new Error('the data source is not initialized'));
        return;
      }
      pool.connect((error, client) => {
        if (!client) {
          reject(error ?? new Error('The pool has no connection.'));
          return;
        }
        // One that was made before the pool was guarded.
        if (client.listenerCount('error', ignore) === 0) client.on('error', ignore);
        resolve(client);
      });
    });
  }

  /**
   * Runs one statement on a connection that the caller has.
   *
   * By a callback: the promises of the driver's own keep the rows of every page alive until a collection
   * of the whole heap.
   */
  run<Row extends QueryResultRow>(
    client: ClientBase,
    { name, text }: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null, result: QueryResult<Row>): void => {
        if (!error) return resolve(result.rows);
        noteRole(error, (client as Client).user);
        if (isOutcomeUnknown(error)) end(client as Client);
        reject(error);
      };
      client.query<Row>(
        {
          name: this.#preparedStatements ? name : undefined,
          text,
          values: values as unknown[],
          types: columnTypes,
        },
        settle,
      );
    });
  }
}

/** @throws TransactionRequiredError if the manager has no transaction open. */
function queryRunnerOf({ queryRunner }: EntityManager): QueryRunner {
  if (!queryRunner?.isTransactionActive) throw new TransactionRequiredError();
  return queryRunner;
}

const ignore = (): void => undefined;

/**
 * Ends a connection that has not answered. A statement that the driver no longer waits for still blocks
 * it, and TypeORM would give it back to the pool when the transaction has failed.
 */
function end(client: Client): void {
  client.end().catch(ignore);
}

// Holds nothing that the application does not hold already.
const guardedPools = new WeakSet<Pool>();
