import type { ClientBase } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { TransactionOverError } from '../../../store/store.errors.ts';

/** A manager that can be revoked. */
export interface RevocableManager {
  readonly manager: EntityManager;
  /** From now on it refuses to send anything. */
  revoke(): void;
}

// Keyed by the stand-in, so it holds nothing that the application does not hold already.
const originals = new WeakMap<QueryRunner, QueryRunner>();

/** Returns the query runner of a stand-in; any other one is returned as it is. */
export const originalOf = (queryRunner: QueryRunner): QueryRunner =>
  originals.get(queryRunner) ?? queryRunner;

/**
 * Returns a manager that works in the transaction of another one until it is revoked.
 *
 * Handlers cannot be ended: one that has timed out may continue for as long as it likes. What it sends
 * then would run after the rollback, on the same connection, in no transaction at all, and stay. So
 * handlers are given a stand-in, which is revoked before the transaction ends in any way. It looks at
 * the last moment, when a statement is handed to the driver.
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
  // Transactions within the transaction are given the manager of their query runner.
  Object.defineProperty(standIn, 'manager', { value: standInManager });
  return { manager: standInManager, revoke: () => void (isRevoked = true) };
}
