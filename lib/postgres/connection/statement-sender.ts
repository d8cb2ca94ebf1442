import type {
  Client,
  ClientBase,
  Connection,
  PoolClient,
  QueryConfig,
  QueryResult,
  QueryResultRow,
  Submittable,
} from 'pg';
import { TransactionOverError } from '../../store/store.errors.ts';
import { columnTypes } from './column-types.ts';
import { isIdle, isInTransaction, transactionStatus, watchStatus } from './connection-state.ts';
import { noteRole } from './errors/failure-kind.ts';
import { isWrongIsolation, isOutcomeUnknown } from './errors/translate-error.ts';
import { Statement } from './statement.ts';
import type { TransactionScope } from './transactions/transaction-scopes.ts';

/**
 * Sends statements over a connection that the caller provides.
 *
 * Each statement is prepared once per connection, unless a pooler cannot keep prepared statements.
 * Values are parsed as the store needs them, whatever type parsers the application has set globally.
 */
export class StatementSender {
  readonly #preparedStatements: boolean;

  constructor(preparedStatements: boolean) {
    this.#preparedStatements = preparedStatements;
  }

  /**
   * Runs one statement on a connection that the caller provides and that is inside no transaction.
   *
   * The statement runs at READ COMMITTED, even if the session's default is another level. If the
   * statement's error shows that it failed because of its level, it is repeated between BEGIN and
   * COMMIT, as are all later statements of that connection. Other connections need neither.
   *
   * It uses a callback: the driver's own promises keep the rows of every page alive until a collection
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
        if (isWrongIsolation(error) && !isInTransaction(client)) {
          aboveReadCommitted.add(client);
          return resolve(this.#runReadCommitted(client, statement, values));
        }
        if (error) return reject(failed(error, client));
        if (!isInTransaction(client)) return resolve(result.rows);
        // Nothing that the statement did is committed, nor ever will be.
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
   * A statement waits in the driver until those before it are answered, and one of them may end the
   * transaction. The final check therefore happens when the statement is handed to the server: all
   * earlier statements are answered by then, and no other can come in between.
   */
  runInside<Row extends QueryResultRow>(
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
      // Before pg 8.20, the status of a connection that is older than the store is unknown.
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

/**
 * The driver's class of a statement; an error that `submit` returns is what the statement fails with.
 */
type QueryClass = new <Row extends QueryResultRow>(
  config: Config,
  callback: (error: Error | null | undefined, result: QueryResult<Row>) => void,
) => Submittable & { submit(connection: Connection): Error | null | undefined | void };

/** The connection was inside a transaction of other code. */
class ForeignTransaction extends Error {
  // A connection_exception, so that the write is sent again over another connection.
  readonly code = '08000';

  constructor() {
    super('The connection turned out to be inside a transaction of other code');
  }
}

/** A statement of the transaction had failed, so that its COMMIT has rolled it back. */
export class AbortedTransaction extends Error {
  readonly code = '25P02';

  constructor() {
    super('A statement of the transaction has failed, so its COMMIT has rolled it back');
  }
}

function failed(error: Error, client: ClientBase): Error {
  noteRole(error, (client as Client).user);
  if (isOutcomeUnknown(error)) close(client as Client);
  return error;
}

/**
 * Closes a connection that has not answered, or that other code still uses. A statement that the driver
 * no longer waits for still blocks the connection, and TypeORM would return it to the pool.
 */
export function close(client: Client | PoolClient): void {
  client.end().catch(ignore);
}

const ignore = (): void => undefined;

const beginReadCommitted = new Statement('BEGIN ISOLATION LEVEL READ COMMITTED', {
  prepared: false,
});
const commit = new Statement('COMMIT', { prepared: false });
const rollback = new Statement('ROLLBACK', { prepared: false });

/** Connections whose default isolation level is higher; all of them belong to the application. */
const aboveReadCommitted = new WeakSet<ClientBase>();
