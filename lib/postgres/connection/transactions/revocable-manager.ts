import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { TransactionOverError } from '../../../store/store.errors.ts';

/** A manager that can be revoked. */
export interface RevocableManager {
  readonly manager: EntityManager;
  /** Makes the manager refuse to send anything from now on. */
  revoke(): void;
}

// Keyed by the stand-in, so this map keeps nothing alive.
const originals = new WeakMap<QueryRunner, QueryRunner>();

/** Returns the original query runner of a stand-in; any other query runner is returned as it is. */
export const originalOf = (queryRunner: QueryRunner): QueryRunner =>
  originals.get(queryRunner) ?? queryRunner;

/**
 * Returns a manager that works in the transaction of another manager until it is revoked.
 *
 * Handlers cannot be cancelled: a handler that has timed out may continue. What it sends after the
 * rollback would run on the same connection, outside of any transaction, and be permanent. Handlers
 * therefore get a stand-in, which is revoked before the transaction ends in any way. The stand-in
 * checks at the last moment, when a statement is handed to the driver.
 */
export function revocable(dataSource: DataSource, manager: EntityManager): RevocableManager {
  const original = originalOf(manager.queryRunner!);
  let isRevoked = false;
  const connect = async (): Promise<ClientBase> => {
    const client = (await original.connect()) as ClientBase;
    const query = (...statement: Parameters<ClientBase['query']>): unknown => {
      if (isRevoked) throw new TransactionOverError();
      return client.query(...statement);
    };
    return Object.create(client, { query: { value: query } }) as ClientBase;
  };
  const standIn = Object.create(original, { connect: { value: connect } }) as QueryRunner;
  originals.set(standIn, original);
  const standInManager = dataSource.createEntityManager(standIn);
  // Nested transactions use the manager of their query runner.
  Object.defineProperty(standIn, 'manager', { value: standInManager });
  return { manager: standInManager, revoke: () => void (isRevoked = true) };
}
