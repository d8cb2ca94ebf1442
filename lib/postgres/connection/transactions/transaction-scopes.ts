import type { EntityManager, QueryRunner } from 'typeorm';
import { originalOf } from './revocable-manager.ts';

/** A transaction, or a savepoint inside it. A call belongs to one scope from its beginning. */
export class TransactionScope {
  readonly #outer: TransactionScope | undefined;
  #isRolledBack = false;

  constructor(outer?: TransactionScope) {
    this.#outer = outer;
  }

  /**
   * False once this scope, or one around it, is rolled back. A released savepoint counts as its outer
   * scope.
   */
  get isOpen(): boolean {
    return !this.#isRolledBack && (this.#outer?.isOpen ?? true);
  }

  rollBack(): void {
    this.#isRolledBack = true;
  }
}

/** A caller's transaction, and the scope in which a call was made. */
export interface JoinedTransaction {
  readonly manager: EntityManager;
  readonly scope: TransactionScope;
}

/**
 * The open scopes of query runners, the outermost first.
 *
 * TypeORM numbers its savepoints by depth, and reports their start and end to subscribers in the same
 * turn of the event loop in which the caller asks for it. So a scope is closed before its ROLLBACK
 * reaches the driver.
 */
export class TransactionScopes {
  // Keyed by the query runner, so this map keeps nothing alive.
  readonly #scopes = new WeakMap<QueryRunner, TransactionScope[]>();

  /**
   * Returns the innermost open scope. If the savepoint of a scope was released meanwhile, the scope
   * counts as the one around it.
   */
  of(queryRunner: QueryRunner): TransactionScope {
    const scopes = this.#of(queryRunner);
    // The transaction may be older than the store's subscription to it.
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

/** Returns how many transactions and savepoints TypeORM has open on a query runner; not in its types. */
const depthOf = (queryRunner: QueryRunner): number =>
  (queryRunner as QueryRunner & { readonly transactionDepth?: number }).transactionDepth ?? 1;
