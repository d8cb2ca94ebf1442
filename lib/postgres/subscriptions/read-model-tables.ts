import type { EntityManager } from 'typeorm';
import type { Consumer } from '../../subscriptions/consumer.ts';
import { HandlerFailure, runHandler } from '../../subscriptions/delivery/handler-failure.ts';
import { ReadModelLostError } from '../../subscriptions/subscriptions.errors.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import type { LockedConsumer } from './control/locked-consumer.ts';
import {
  forgetLostTables,
  readLostTable,
  readTables,
  recordTables,
  refreshTables,
} from './read-model-tables.sql.ts';

/**
 * Keeps track of the tables that the hooks of projections have created.
 *
 * A checkpoint says which events a read model contains. If its table is missing, or is an empty one of
 * the same name, a projection that continued from there would silently count wrong.
 */
export class ReadModelTables {
  readonly #database: Database;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#statements = {
      before: new Statement(readTables),
      record: new Statement(recordTables(schema)),
      refresh: new Statement(refreshTables(schema)),
      forgetLost: new Statement(forgetLostTables(schema)),
      lost: new Statement(readLostTable(schema)),
    };
  }

  /**
   * Calls hooks, records the tables that they create for a generation, and forgets those they remove.
   */
  async record(
    consumer: LockedConsumer,
    generation: number,
    callHooks: () => Promise<void>,
  ): Promise<void> {
    await this.#refuseLost(consumer, generation);
    const [before] = await consumer.query<{ tables: string }>(this.#statements.before, []);
    await callHooks();
    await this.forgetLost(consumer, generation);
    const values = [consumer.name, generation, before!.tables];
    await consumer.query(this.#statements.record, values);
    await consumer.query(this.#statements.refresh, [[consumer.name]]);
  }

  /**
   * Calls the hook that removes the read model of a generation. If a table of the read model is lost,
   * the hook may fail because of it; there is nothing left for it to remove then.
   */
  async discard(consumer: LockedConsumer, { hooks }: Consumer, generation: number): Promise<void> {
    const discard = (manager: EntityManager): Promise<void> =>
      runHandler(() => hooks.discard?.({ generation, manager }));
    const { manager } = consumer;
    if ((await this.#lost(consumer, generation)) === null) return discard(manager);
    await this.#database.nested(manager, discard).catch((error: unknown) => {
      if (!(error instanceof HandlerFailure) || !isUndefinedTable(error.cause)) throw error;
    });
  }

  /** Records the changes that a restore, or a new name, has made to the tables of these consumers. */
  async refresh(consumers: readonly string[]): Promise<void> {
    await this.#database.query(this.#statements.refresh, [consumers]);
  }

  /** Forgets the missing tables of a generation, whose loss is intended or accepted. */
  async forgetLost(consumer: LockedConsumer, generation: number): Promise<void> {
    await consumer.query(this.#statements.forgetLost, [consumer.name, generation]);
  }

  async #lost(consumer: LockedConsumer, generation: number): Promise<string | null> {
    const values = [consumer.name, generation];
    const [row] = await consumer.query<{ lost: string | null }>(this.#statements.lost, values);
    return row!.lost;
  }

  /** @throws HandlerFailure with a ReadModelLostError. */
  async #refuseLost(consumer: LockedConsumer, generation: number): Promise<void> {
    const lost = await this.#lost(consumer, generation);
    if (lost === null) return;
    const partitions = await consumer.partitions(generation);
    const position = Math.min(...partitions.map((each) => each.position));
    throw new HandlerFailure(new ReadModelLostError(consumer.name, generation, lost, position));
  }
}

const isUndefinedTable = (error: unknown): boolean =>
  (error as { code?: unknown } | null)?.code === '42P01';
