import type { EntityManager } from 'typeorm';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { lockInlineExclusively, lockInlineShared, readGenerations } from './inline-lock.sql.ts';

/**
 * Keeps the appends that an inline projection concerns apart from the change of its generation.
 *
 * Appends share the lock, so they never wait for each other. A change of the generation waits for the
 * appends that are open, for a short time only: appends that come meanwhile wait for it.
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

  /** Until the transaction ends, no append can apply these projections. */
  async exclusively(consumer: string, manager: EntityManager): Promise<void> {
    await this.#database.query(this.#exclusive, [consumer], manager);
  }

  /** Until the transaction ends, the generations of these projections stay; returns those in use. */
  async shared(
    consumers: readonly string[],
    manager: EntityManager,
  ): Promise<ReadonlyMap<string, number>> {
    await this.#database.query(this.#shared, [consumers], manager);
    // A statement of its own: only a snapshot taken under the lock is sure to see the last change.
    const rows = await this.#database.query<{ name: string; generation: number }>(
      this.#generations,
      [consumers],
      manager,
    );
    return new Map(rows.map(({ name, generation }) => [name, generation]));
  }
}
