import type { EntityManager } from 'typeorm';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { lockInlineExclusively, lockInlineShared, readGenerations } from './inline-lock.sql.ts';

/**
 * Keeps appends that concern an inline projection apart from a change of its generation.
 *
 * Appends share the lock, so they never wait for each other. A change of the generation waits for the
 * open appends, but only for a short time, because new appends wait for it.
 */
export class InlineLock {
  readonly #database: Database;
  readonly #exclusive: Statement;
  readonly #shared: Statement;
  readonly #generations: Statement;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#exclusive = new Statement(lockInlineExclusively(schema));
    this.#shared = new Statement(lockInlineShared(schema));
    this.#generations = new Statement(readGenerations(schema));
  }

  /** Keeps every append from applying these projections until the transaction ends. */
  async exclusively(consumer: string, manager: EntityManager): Promise<void> {
    await this.#database.query(this.#exclusive, [consumer], manager);
  }

  /** Returns the generations in use of these projections, and keeps them until the transaction ends. */
  async shared(
    consumers: readonly string[],
    manager: EntityManager,
  ): Promise<ReadonlyMap<string, number>> {
    await this.#database.query(this.#shared, [consumers], manager);
    // A separate statement: only a snapshot taken under the lock is sure to see the last change.
    const rows = await this.#database.query<{ name: string; generation: number }>(
      this.#generations,
      [consumers],
      manager,
    );
    return new Map(rows.map(({ name, generation }) => [name, generation]));
  }
}
