import { createHash } from 'node:crypto';
import type {
  Client,
  ClientBase,
  ClientConfig,
  Connection,
  Pool,
  PoolClient,
  QueryConfig,
  QueryResult,
  QueryResultRow,
  Submittable,
} from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { TransactionOverError, TransactionRequiredError } from '../../store/store.errors.ts';
import type { IsolationLevel } from '../../store/transaction-options.ts';
import { columnTypes } from './column-types.ts';
import {
  endOfTransaction,
  isClosed,
  isIdle,
  isInTransaction,
  isReady,
  keepQuiet,
  transactionStatus,
  untilReady,
  watchStatus,
} from './connection-state.ts';
import {
  isConnectionLoss,
  isConnectionSpoilt,
  isIsolationTrouble,
  isOutcomeUnknown,
} from './errors/translate-error.ts';
import { type Committed, watchingReplication } from './replication-wait.ts';
import { probeIdle } from './pool-probe.ts';
import { revocable } from './transactions/revocable-manager.ts';
import { type TransactionScope, TransactionScopes } from './transactions/transaction-scopes.ts';
import { noteRole, noteUnsent } from './errors/failure-kind.ts';
import { inTurn } from './transactions/turns.ts';

/** One statement of the store. Its name is a digest of the text, so no two texts share a name. */
export class Statement {
  readonly name: string;
  readonly isPrepared: boolean;

  constructor(
    readonly text: string,
    { prepared = true } = {},
  ) {
    this.isPrepared = prepared;
    this.name = `event_store_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  }
}

export interface DatabaseOptions {
  readonly preparedStatements: boolean;
  /** Called when a connection of the pool is closed because somebody else still uses it. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Runs the store's statements on the raw `pg` clients of TypeORM's pool.
 *
 * Each statement is prepared once per connection, unless told otherwise for a pooler that cannot
 * keep prepared statements. Values come back as the store needs them, whatever type parsers the
 * application has set for itself.
 *
 * The pool belongs to the application, and so may what a connection is in the middle of: a transaction
 * whose ROLLBACK was never sent, a statement that is still running. What the store did there would look
 * committed and vanish with that transaction. So a connection is used only if the server said last that
 * it is idle, and is closed otherwise; and a statement that ends inside a transaction has failed.
 */
export class Database {
  readonly #preparedStatements: boolean;
  readonly #onWarning: ((message: string) => void) | undefined;
  /** The scopes of callers' transactions; kept up to date by `CallerTransactions`. */
  readonly scopes = new TransactionScopes();
  #savepoints = 0;

  constructor(
    readonly dataSource: DataSource,
    { preparedStatements, onWarning }: DatabaseOptions,
  ) {
    this.#preparedStatements = preparedStatements;
    this.#onWarning = onWarning;
  }

  get #pool(): Pool | undefined {
    const pool = (this.dataSource.driver as unknown as { master?: Pool }).master;
    if (pool && !guardedPools.has(pool)) {
      guardedPools.add(pool);
      // At once: the moment in which the pool hands a connection to somebody counts too.
      pool.on('connect', (client) => {
        keepQuiet(client);
        watchStatus(client, 'I');
      });
    }
    return pool;
  }

  /** Calls `listener` whenever a connection goes back to the pool; returns how to stop that. */
  onRelease(listener: () => void): () => void {
    const pool = this.#pool;
    pool?.on('release', listener);
    return () => pool?.off('release', listener);
  }

  /** How many connections the pool may have; the driver's default before it has a pool. */
  get poolSize(): number {
    return this.#pool?.options.max ?? 10;
  }

  /**
   * Runs one statement: on the manager's connection, inside its transaction, or on any other.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   * @throws TransactionOverError if its transaction, or savepoint, ends before the statement is sent.
   */
  async query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    manager?: EntityManager,
  ): Promise<Row[]> {
    if (manager) {
      const queryRunner = queryRunnerOf(manager);
      const scope = this.scopes.of(queryRunner);
      return this.#runInside(scope, await clientOf(queryRunner), statement, values);
    }
    return this.#onAnyClient((client) => this.run(client, statement, values));
  }

  /** Runs one statement that only reads; once more, on another connection, if the first one is lost. */
  async read<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
    manager?: EntityManager,
  ): Promise<Row[]> {
    try {
      return await this.query(statement, values, manager);
    } catch (error) {
      if (manager || !isConnectionLoss(error)) throw error;
      return this.query(statement, values);
    }
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

  /** Runs one statement on the connection of a query runner that has no transaction open. */
  async queryOn<Row extends QueryResultRow>(
    queryRunner: QueryRunner,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return this.run(await clientOf(queryRunner), statement, values);
  }

  /** Returns the scope that a call with this manager belongs to. @throws TransactionRequiredError */
  scopeOf(manager: EntityManager): TransactionScope {
    return this.scopes.of(queryRunnerOf(manager));
  }

  /**
   * Runs work in the manager's transaction, behind all that was begun in it through here before.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   * @throws TransactionOverError if the scope of the call is over when its turn comes.
   */
  async inTurn<T>(
    manager: EntityManager,
    work: () => Promise<T>,
    scope = this.scopeOf(manager),
  ): Promise<T> {
    return inTurn(queryRunnerOf(manager), () => {
      if (!scope.isOpen) throw new TransactionOverError();
      return work();
    });
  }

  /**
   * Runs work behind a savepoint of the manager's transaction, which stays usable if the work fails.
   *
   * Not one of TypeORM's savepoints: those are numbered by depth, and a caller that ends its
   * transaction meanwhile would end the savepoint instead, and leave the transaction open.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   * @throws TransactionOverError if it is over when the turn comes.
   */
  async nested<T>(
    manager: EntityManager,
    work: (inner: EntityManager) => Promise<T>,
    scope = this.scopeOf(manager),
  ): Promise<T> {
    const behindSavepoint = async (): Promise<T> => {
      const name = `event_store_${(this.#savepoints += 1)}`;
      const send = (sql: string) =>
        this.query(new Statement(sql, { prepared: false }), [], manager);
      await send(`SAVEPOINT ${name}`);
      try {
        const result = await this.#lend(manager, work);
        // Where the caller has ended the transaction before, the work is part of what that end decided.
        await send(`RELEASE SAVEPOINT ${name}`).catch((error: unknown) => {
          if (!(error instanceof TransactionOverError)) throw error;
        });
        return result;
      } catch (error) {
        // Where the transaction is over, so is the savepoint.
        await send(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`).catch(ignore);
        throw error;
      }
    };
    return this.inTurn(manager, behindSavepoint, scope);
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
   *
   * When this resolves, the server has committed: it answers the COMMIT of an aborted transaction with
   * a rollback, which TypeORM does not notice. The connection goes back to the pool only if it is idle.
   */
  async transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    isolationLevel: IsolationLevel = 'READ COMMITTED',
  ): Promise<T> {
    const { queryRunner, client } = await this.#idleQueryRunner();
    try {
      await queryRunner.startTransaction(isolationLevel);
      const result = await this.#lend(queryRunner.manager, work);
      const end = await endOfTransaction(client, () => queryRunner.commitTransaction());
      if (end === 'ROLLBACK') throw new AbortedTransaction();
      return result;
    } catch (error) {
      // One that is still waiting for an answer would let the ROLLBACK wait as well.
      if (!isReady(client)) close(client);
      if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction().catch(ignore);
      if (isOutcomeUnknown(error)) probeIdle(this.#pool);
      throw error;
    } finally {
      if (!isIdle(client)) close(client);
      await queryRunner.release();
    }
  }

  /** Runs work in a transaction of its own, and tells whether its standby has it too. */
  async commitTransaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    isolationLevel?: IsolationLevel,
  ): Promise<Committed<T>> {
    return watchingReplication((watch) =>
      this.transaction(async (manager) => {
        watch(await clientOf(queryRunnerOf(manager)));
        return work(manager);
      }, isolationLevel),
    );
  }

  /** Makes a connection outside of the pool, to the same database. */
  newClient(options: ClientConfig): Client {
    const pool = this.#pool as
      (Pool & { Client: new (config: ClientConfig) => Client }) | undefined;
    if (!pool) throw new Error('the data source is not initialized');
    const client = new pool.Client({ ...(pool.options as ClientConfig), ...options });
    watchStatus(client);
    return client;
  }

  async #onAnyClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#idleClient();
    let isSpoilt = false;
    try {
      return await work(client);
    } catch (error) {
      isSpoilt = isConnectionSpoilt(error);
      if (isOutcomeUnknown(error)) probeIdle(this.#pool);
      throw error;
    } finally {
      if (isSpoilt || isReady(client)) client.release(isSpoilt || !isIdle(client));
      else void untilReady(client).then(() => client.release(!isIdle(client)));
    }
  }

  async #idleClient(): Promise<PoolClient> {
    // Comes to an end: one that is closed makes room for a new one, which nobody has used.
    for (;;) {
      const client = await connect(this.#pool);
      if (await this.#isUnused(client)) return client;
      client.release(true);
    }
  }

  async #idleQueryRunner(): Promise<{ queryRunner: QueryRunner; client: PoolClient }> {
    for (;;) {
      const queryRunner = this.dataSource.createQueryRunner();
      const client = await clientOf(queryRunner).catch((error: unknown) => {
        noteUnsent(error);
        throw error;
      });
      if (await this.#isUnused(client)) return { queryRunner, client };
      close(client);
      await queryRunner.release();
    }
  }

  async #isUnused(client: PoolClient): Promise<boolean> {
    // A connection that was made before the store began to listen, with a driver that does not tell.
    if (transactionStatus(client) === undefined) {
      watchStatus(client);
      await this.run(client, new Statement('SELECT', { prepared: false }), []).catch(ignore);
    }
    await untilReady(client);
    if (isIdle(client)) return true;
    this.#onWarning?.(
      isInTransaction(client)
        ? 'A connection from the pool was inside a transaction that nobody had ended; it was closed, ' +
            'and the transaction is rolled back. Look for a ROLLBACK that timed out (query_timeout), ' +
            'or for code that sends BEGIN and releases the connection without COMMIT or ROLLBACK.'
        : 'A connection from the pool was still running a statement of somebody else; it was closed. ' +
            'Look for statements that take longer than query_timeout, or that nobody awaits.',
    );
    return false;
  }

  /**
   * Runs one statement on a connection that the caller has, which is inside no transaction.
   *
   * The statement runs at READ COMMITTED, whatever level the session sets for transactions that do not
   * name one: it says by its error that another level made it fail, and then that connection is sent
   * BEGIN and COMMIT too. Others need neither.
   *
   * By a callback: the promises of the driver's own keep the rows of every page alive until a collection
   * of the whole heap.
   */
  run<Row extends QueryResultRow>(
    client: ClientBase,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    if (aboveReadCommitted.has(client)) return this.#runReadCommitted(client, statement, values);
    return new Promise((resolve, reject) => {
      client.query<Row>(this.#configOf(statement, values), (error, result) => {
        if (isIsolationTrouble(error) && !isInTransaction(client)) {
          aboveReadCommitted.add(client);
          return resolve(this.#runReadCommitted(client, statement, values));
        }
        if (error) return reject(failed(error, client));
        if (!isInTransaction(client)) return resolve(result.rows);
        // What it has done is not committed, and never will be.
        close(client as Client);
        reject(new ForeignTransaction());
      });
    });
  }

  async #runReadCommitted<Row extends QueryResultRow>(
    client: ClientBase,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const send = (each: Statement, given: readonly unknown[] = []): Promise<QueryResult<Row>> =>
      new Promise((resolve, reject) => {
        client.query<Row>(this.#configOf(each, given), (error, result) =>
          error ? reject(failed(error, client)) : resolve(result),
        );
      });
    await send(beginReadCommitted);
    try {
      const { rows } = await send(statement, values);
      const { command } = await send(commit);
      if (command !== 'COMMIT') throw new AbortedTransaction();
      return rows;
    } catch (error) {
      if (isInTransaction(client)) await send(rollback).catch(ignore);
      if (!isIdle(client)) close(client as Client);
      throw error;
    }
  }

  /**
   * Runs one statement inside a transaction, or not at all.
   *
   * A statement waits in the driver until those before it are answered, and one of those may be the end of
   * the transaction. So the last look is taken when it is handed to the server: by then all that came
   * before is answered, and nothing can come in between.
   */
  #runInside<Row extends QueryResultRow>(
    scope: TransactionScope,
    client: ClientBase,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const { Query } = client.constructor as unknown as { readonly Query: QueryClass };
      const settle = (error: Error | null | undefined, result: QueryResult<Row>): void =>
        error ? reject(failed(error, client)) : resolve(result.rows);
      const query = new Query<Row>(this.#configOf(statement, values), settle);
      const submit = query.submit.bind(query);
      // Before pg 8.20 nothing is known of a connection that was made before the store was.
      watchStatus(client);
      query.submit = (connection) =>
        scope.isOpen && transactionStatus(client) !== 'I'
          ? submit(connection)
          : new TransactionOverError();
      client.query(query);
    });
  }

  #configOf({ name, text, isPrepared }: Statement, values: readonly unknown[]): Config {
    return {
      name: isPrepared && this.#preparedStatements ? name : undefined,
      text,
      values: values as unknown[],
      types: columnTypes,
    };
  }
}

type Config = QueryConfig & { readonly types: typeof columnTypes };

/** The driver's class of a statement; what `submit` returns is what the statement fails with. */
type QueryClass = new <Row extends QueryResultRow>(
  config: Config,
  callback: (error: Error | null | undefined, result: QueryResult<Row>) => void,
) => Submittable & { submit(connection: Connection): Error | null | undefined | void };

/** The connection was in the middle of what somebody else had begun. */
class ForeignTransaction extends Error {
  // A connection_exception: whatever was to be written has to be sent again over another one.
  readonly code = '08000';

  constructor() {
    super('The connection turned out to be inside a transaction of somebody else');
  }
}

/** The transaction was lost with its connection, before this statement could be sent. */
class ConnectionGone extends Error {
  readonly isUnsent = true;
  readonly code = '08003';

  constructor() {
    super('The connection was lost in the middle of the transaction');
  }
}

/** A statement of the transaction had failed, so that its COMMIT has rolled it back. */
class AbortedTransaction extends Error {
  readonly code = '25P02';

  constructor() {
    super('A statement of the transaction has failed, so its COMMIT has rolled it back');
  }
}

function connect(pool: Pool | undefined): Promise<PoolClient> {
  return new Promise((resolve, reject) => {
    if (!pool) {
      reject(new Error('the data source is not initialized'));
      return;
    }
    pool.connect((error, client) => {
      if (!client) {
        const reason = error ?? new Error('The pool has no connection.');
        noteUnsent(reason);
        reject(reason);
        return;
      }
      // One that was made before the pool was guarded.
      keepQuiet(client);
      resolve(client);
    });
  });
}

const clientOf = async (queryRunner: QueryRunner): Promise<PoolClient> =>
  (await queryRunner.connect()) as PoolClient;

/** @throws TransactionRequiredError if the manager has no transaction open. */
function queryRunnerOf({ queryRunner }: EntityManager): QueryRunner {
  if (!queryRunner?.isTransactionActive) throw new TransactionRequiredError();
  // Released in the middle of it: by its caller, or by TypeORM when the connection was lost.
  if (queryRunner.isReleased) {
    throw isLost(queryRunner) ? new ConnectionGone() : new TransactionOverError();
  }
  return queryRunner;
}

/** Whether a query runner was released because its connection is of no use any more. */
function isLost(queryRunner: QueryRunner): boolean {
  const { databaseConnection } = queryRunner as QueryRunner & {
    readonly databaseConnection?: ClientBase;
  };
  return databaseConnection !== undefined && isClosed(databaseConnection);
}

function failed(error: Error, client: ClientBase): Error {
  noteRole(error, (client as Client).user);
  if (isOutcomeUnknown(error)) close(client as Client);
  return error;
}

const ignore = (): void => undefined;

/**
 * Closes a connection that has not answered, or that somebody else still uses. A statement that the driver
 * no longer waits for still blocks it, and TypeORM would give it back to the pool.
 */
function close(client: Client | PoolClient): void {
  client.end().catch(ignore);
}

const beginReadCommitted = new Statement('BEGIN ISOLATION LEVEL READ COMMITTED', {
  prepared: false,
});
const commit = new Statement('COMMIT', { prepared: false });
const rollback = new Statement('ROLLBACK', { prepared: false });

// Both hold nothing that the application does not hold already.
const guardedPools = new WeakSet<Pool>();
/** Connections on which a statement by itself runs at a higher level. */
const aboveReadCommitted = new WeakSet<ClientBase>();
