import type { EntityManager, QueryRunner } from 'typeorm';
import { originalOf } from './revocable-manager.ts';

/** One transaction, or one savepoint inside it: what a call belongs to from its beginning. */
export class TransactionScope {
  readonly #outer: TransactionScope | undefined;
  #isRolledBack = false;

  constructor(outer?: TransactionScope) {
    this.#outer = outer;
  }

  /** False once it, or one around it, is rolled back. A savepoint that is released counts as its outer one. */
  get isOpen(): boolean {
    return !this.#isRolledBack && (this.#outer?.isOpen ?? true);
  }

  rollBack(): void {
    this.#isRolledBack = true;
  }
}

/** A caller's transaction, and where in it a call was made. */
export interface JoinedTransaction {
  readonly manager: EntityManager;
  readonly scope: TransactionScope;
}

/**
 * The open scopes of query runners, the outermost first.
 *
 * TypeORM numbers its savepoints by depth, and reports their start and end to subscribers in the same
 * turn in which it is asked for it. So a scope is closed before its ROLLBACK reaches the driver.
 */
export class TransactionScopes {
  // Keyed by the query runner, so it holds nothing that the application does not hold already.
  readonly #scopes = new WeakMap<QueryRunner, TransactionScope[]>();

  /**
   * Returns the innermost scope that is open now: that of a savepoint which was released meanwhile is as
   * good as the one around it.
   */
  of(queryRunner: QueryRunner): TransactionScope {
    const scopes = this.#of(queryRunner);
    // One that was begun before the store began to listen.
    this.#open(scopes, Math.max(1, depthOf(queryRunner)));
    return scopes.at(-1)!;
  }

  started(queryRunner: QueryRunner): void {
    const scopes = this.#of(queryRunner);
    const depth = depthOf(queryRunner);
    scopes.length = Math.min(scopes.length, depth - 1);
    this.#open(scopes, depth);
  }

  rollingBack(queryRunner: QueryRunner): void {
    for (const scope of this.#of(queryRunner).splice(depthOf(queryRunner) - 1)) scope.rollBack();
  }

  #of(queryRunner: QueryRunner): TransactionScope[] {
    const original = originalOf(queryRunner);
    const scopes = this.#scopes.get(original) ?? [];
    this.#scopes.set(original, scopes);
    return scopes;
  }

  #open(scopes: TransactionScope[], depth: number): void {
    while (scopes.length < depth) scopes.push(new TransactionScope(scopes.at(-1)));
  }
}

/** How many transactions and savepoints TypeORM has open on a query runner; not among its types. */
const depthOf = (queryRunner: QueryRunner): number =>
  (queryRunner as QueryRunner & { readonly transactionDepth?: number }).transactionDepth ?? 1;
