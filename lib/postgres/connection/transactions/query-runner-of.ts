import type { ClientBase } from 'pg';
import type { EntityManager, QueryRunner } from 'typeorm';
import { TransactionOverError, TransactionRequiredError } from '../../../store/store.errors.ts';
import { isClosed } from '../connection-state.ts';

/** The transaction was lost with its connection, before this statement could be sent. */
class ConnectionGone extends Error {
  readonly isUnsent = true;
  readonly code = '08003';

  constructor() {
    super('The connection was lost in the middle of the transaction');
  }
}

/** @throws TransactionRequiredError if the manager has no transaction open. */
export function queryRunnerOf({ queryRunner }: EntityManager): QueryRunner {
  if (!queryRunner?.isTransactionActive) throw new TransactionRequiredError();
  // It was released during the transaction: by its caller, or by TypeORM when the connection was lost.
  if (queryRunner.isReleased) {
    throw isLost(queryRunner) ? new ConnectionGone() : new TransactionOverError();
  }
  return queryRunner;
}

/** Returns whether a query runner was released because its connection is unusable. */
function isLost(queryRunner: QueryRunner): boolean {
  const { databaseConnection } = queryRunner as QueryRunner & {
    readonly databaseConnection?: ClientBase;
  };
  return databaseConnection !== undefined && isClosed(databaseConnection);
}
