import type { PoolClient, QueryResultRow } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { StoreClosedError, TransactionOverError } from '../../store/store.errors.ts';
import type { IsolationLevel } from '../../store/transaction-options.ts';
import { endOfTransaction, isIdle, isReady, untilReady } from './connection-state.ts';
import {
  isConnectionLoss,
  isConnectionSpoilt,
  isOutcomeUnknown,
} from './errors/translate-error.ts';
import { clientOf, IdleConnections } from './idle-connections.ts';
import { type Committed, watchingReplication } from './replication-wait.ts';
import { Statement } from './statement.ts';
import { AbortedTransaction, close, StatementSender } from './statement-sender.ts';
import { queryRunnerOf } from './transactions/query-runner-of.ts';
import { revocable } from './transactions/revocable-manager.ts';
import { type TransactionScope, TransactionScopes } from './transactions/transaction-scopes.ts';
import { inTurn } from './transactions/turns.ts';
import { OpenCalls } from './open-calls.ts';

export interface DatabaseOptions {
  readonly preparedStatements: boolean;
  /** Called when a connection of the pool is closed because other code still uses it. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Runs the store's statements on the raw `pg` clients of TypeORM's pool: outside of transactions, in a
 * transaction of the store's own, or in a caller's.
 */
export class Database {
  readonly connections: IdleConnections;
  readonly sender: StatementSender;
  /** The scopes of callers' transactions; kept up to date by `CallerTransactions`. */
  readonly scopes = new TransactionScopes();
  #savepoints = 0;
  /** Statements and transactions on connections of the store's own. */
  readonly #open = new OpenCalls();
  #isClosed = false;

  constructor(
    readonly dataSource: DataSource,
    { preparedStatements, onWarning }: DatabaseOptions,
  ) {
    this.sender = new StatementSender(preparedStatements);
    this.connections = new IdleConnections(dataSource, this.sender, onWarning);
  }

  /**
   * Runs one statement: on the manager's connection, inside its transaction, or without a manager on
   * any connection.
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
      return this.sender.runInside(scope, await clientOf(queryRunner), statement, values);
    }
    return this.#onAnyClient((client) => this.sender.run(client, statement, values));
  }

  /** Runs one statement that only reads; if its connection is lost, tries once more on another one. */
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
   * Runs one statement like `query`, and reports whether the synchronous standby has its changes, too.
   *
   * In a manager's transaction there is nothing to report yet: its COMMIT is still to come.
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
        return this.sender.run<Row>(client, statement, values);
      }),
    );
  }

  /** Runs one statement on the connection of a query runner that has no transaction open. */
  async queryOn<Row extends QueryResultRow>(
    queryRunner: QueryRunner,
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return this.sender.run(await clientOf(queryRunner), statement, values);
  }

  /** Returns the scope that a call with this manager belongs to. @throws TransactionRequiredError */
  scopeOf(manager: EntityManager): TransactionScope {
    return this.scopes.of(queryRunnerOf(manager));
  }

  /**
   * Runs work in the manager's transaction, after all earlier work that was begun in it through this
   * method.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   * @throws TransactionOverError if the scope of the call has ended when its turn comes.
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
   * Runs work after a savepoint of the manager's transaction, which stays usable if the work fails.
   *
   * It does not use TypeORM's savepoints. Those are numbered by depth, so a caller that ends its
   * transaction meanwhile would end the savepoint instead, and leave the transaction open.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   * @throws TransactionOverError if the transaction has ended when the turn comes.
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
        // If the caller has already ended the transaction, its end decided over the work as well.
        await send(`RELEASE SAVEPOINT ${name}`).catch((error: unknown) => {
          if (!(error instanceof TransactionOverError)) throw error;
        });
        return result;
      } catch (error) {
        // If the transaction has ended, the savepoint has ended with it.
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
   * Runs work in a transaction of its own. Its manager refuses to send anything once the work has
   * settled.
   *
   * When this resolves, the server has committed: it answers the COMMIT of an aborted transaction with
   * a rollback, which TypeORM does not notice. The connection returns to the pool only if it is idle.
   */
  async transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    isolationLevel: IsolationLevel = 'READ COMMITTED',
  ): Promise<T> {
    this.#begin();
    try {
      return await this.#transaction(work, isolationLevel);
    } finally {
      this.#open.end();
    }
  }

  async #transaction<T>(
    work: (manager: EntityManager) => Promise<T>,
    isolationLevel: IsolationLevel,
  ): Promise<T> {
    const { queryRunner, client } = await this.connections.queryRunner();
    try {
      await queryRunner.startTransaction(isolationLevel);
      const result = await this.#lend(queryRunner.manager, work);
      const end = await endOfTransaction(client, () => queryRunner.commitTransaction());
      if (end === 'ROLLBACK') throw new AbortedTransaction();
      return result;
    } catch (error) {
      // If a statement still waits for its answer, the ROLLBACK would wait for it as well.
      await untilReady(client);
      if (!isReady(client)) close(client);
      if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction().catch(ignore);
      if (isOutcomeUnknown(error)) this.connections.probe();
      throw error;
    } finally {
      if (!isIdle(client)) close(client);
      await queryRunner.release();
    }
  }

  /** Runs work in a transaction of its own, and reports whether the synchronous standby has it, too. */
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

  /**
   * Refuses calls that need another connection, and resolves once no call of the store runs any more.
   * If a pool ended while a call asked it for a connection, that call would never get an answer.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#open.drain();
  }

  #begin(): void {
    if (this.#isClosed) throw new StoreClosedError();
    this.#open.begin();
  }

  async #onAnyClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    this.#begin();
    try {
      return await this.#onClient(await this.connections.client(), work);
    } finally {
      this.#open.end();
    }
  }

  async #onClient<T>(client: PoolClient, work: (client: PoolClient) => Promise<T>): Promise<T> {
    let isSpoilt = false;
    try {
      return await work(client);
    } catch (error) {
      isSpoilt = isConnectionSpoilt(error);
      if (isOutcomeUnknown(error)) this.connections.probe();
      throw error;
    } finally {
      if (isSpoilt || isReady(client)) client.release(isSpoilt || !isIdle(client));
      else void untilReady(client).then(() => client.release(!isIdle(client)));
    }
  }
}

const ignore = (): void => undefined;
