import type { EntityManager } from 'typeorm';
import type { HeldCheckpoint } from '../../subscriptions/checkpoint-store.ts';
import { type Consumer, isTransactional } from '../../subscriptions/consumer.ts';
import { HandlerFailure, runHandler } from '../../subscriptions/delivery/handler-failure.ts';
import type { PartitionPositions } from '../../subscriptions/partition-positions.ts';
import { LeaseLostError } from '../../subscriptions/subscriptions.errors.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { Generations } from '../../subscriptions/generations.ts';
import { InlineLock } from '../projections/inline-lock.ts';
import { ConsumerChanges, type LockedConsumer } from './control/locked-consumer.ts';
import { isLockTimeout } from '../connection/errors/translate-error.ts';
import { channelOf } from './postgres.signals.ts';
import { ReadModelTables } from './read-model-tables.ts';
import { refuseParked } from './refuse-parked.ts';
import {
  activateGeneration,
  deleteGeneration,
  endHalt,
  haltGeneration,
  readPositionsInUse,
  setPreparedGeneration,
} from './generations.sql.ts';
import { readEnd } from '../schema/functions/read-log.sql.ts';
import { readUnprepared } from '../schema/functions/register-consumer.sql.ts';

type CatchUp = (manager: EntityManager, through: number) => Promise<boolean>;

/**
 * Makes the read models of generations, and replaces one generation by another.
 *
 * The hooks of the projection run in the transaction of the change.
 */
export class PostgresGenerations extends Generations {
  readonly #database: Database;
  readonly #changes: ConsumerChanges;
  readonly #tables: ReadModelTables;
  readonly #inlineLock: InlineLock;
  readonly #channel: string;
  readonly #statements;

  constructor(database: Database, schema: string) {
    super();
    this.#database = database;
    this.#changes = new ConsumerChanges(database, schema);
    this.#tables = new ReadModelTables(database, schema);
    this.#inlineLock = new InlineLock(database, schema);
    this.#channel = channelOf(schema);
    this.#statements = {
      positionsInUse: new Statement(readPositionsInUse(schema)),
      halt: new Statement(haltGeneration(schema)),
      endHalt: new Statement(endHalt(schema)),
      activate: new Statement(activateGeneration(schema)),
      delete: new Statement(deleteGeneration(schema)),
      prepared: new Statement(setPreparedGeneration(schema)),
      unprepared: new Statement(readUnprepared(schema)),
      endOfLog: new Statement(readEnd(schema)),
    };
  }

  /** Makes the missing read models of the generations in use, one after another. */
  async prepare(consumers: readonly Consumer[]): Promise<void> {
    // A process that only reads may have no right to write.
    if (consumers.length === 0) return;
    const names = consumers.map(({ name }) => name);
    const rows = await this.#database.query<{ name: string }>(this.#statements.unprepared, [names]);
    await this.#tables.refresh(names);
    const unprepared = new Set(rows.map((row) => row.name));
    for (const each of consumers) if (unprepared.has(each.name)) await this.#prepare(each);
  }

  prepareGeneration(consumer: Consumer, generation: number): Promise<void> {
    return this.#prepare(consumer, generation);
  }

  async #prepare({ name, hooks }: Consumer, wanted?: number): Promise<void> {
    await this.#changes.change(name, async (consumer) => {
      const { manager } = consumer;
      const generation = wanted ?? consumer.generation;
      // Another process may have made it meanwhile.
      if (consumer.prepared >= generation) return;
      // The rebuild was cancelled meanwhile: a read model made for it now would never be removed.
      if (![consumer.generation, consumer.next].includes(generation)) return;
      await this.#tables.record(consumer, generation, async () => {
        await runHandler(() => hooks.prepare?.({ generation, manager }));
        if (consumer.generation === generation) {
          await runHandler(() => hooks.activate?.({ generation, manager }));
        }
      });
      await consumer.query(this.#statements.prepared, [name, generation]);
    });
  }

  async positionsInUse(consumer: string): Promise<PartitionPositions | null> {
    const rows = await this.#database.query<{ position: number }>(this.#statements.positionsInUse, [
      consumer,
    ]);
    return rows.length === 0 ? null : { positions: rows.map((row) => row.position) };
  }

  /**
   * Replaces the generation in use.
   *
   * A generation that follows the log is replaced in two steps. First the generation in use is halted:
   * its owner commits its current work and releases it, so that no effect happens twice, and the
   * position that the next generation has to reach no longer moves. Once the next generation has
   * reached it, the two are exchanged. In a single step, they could wait for each other: the owner's
   * batch for the checkpoint that is locked here, and `discard` for the tables to which the batch has
   * written.
   */
  async replace(held: HeldCheckpoint, consumer: Consumer, catchUp: CatchUp): Promise<boolean> {
    const replacing = this.#changes.change(consumer.name, async (locked) => {
      if (locked.next !== held.generation) {
        throw new LeaseLostError(consumer.name, held.partition);
      }
      return locked.kind === 'inline-projection'
        ? this.#replaceInline(locked, consumer, held.generation, catchUp)
        : this.#replaceFollowing(locked, consumer, held.generation);
    });
    return replacing.catch((error: unknown) => {
      // A hook may have to wait for queries on the read model, but only for a while, so this is tried
      // again.
      const cause = error instanceof HandlerFailure ? error.cause : error;
      if (cause instanceof NotNowError || isLockTimeout(cause)) return false;
      throw error;
    });
  }

  async #replaceInline(
    locked: LockedConsumer,
    consumer: Consumer,
    next: number,
    catchUp: CatchUp,
  ): Promise<boolean> {
    // Every append that the projection concerns holds this lock until its commit. All of them are in
    // the log now, none comes before the change, and later ones find the new generation.
    await this.#inlineLock.exclusively(locked.name, locked.manager);
    const last = await locked.lastPosition();
    if (!(await catchUp(locked.manager, last))) throw new NotNowError();
    await this.#exchange(locked, consumer, next, null);
    return true;
  }

  async #replaceFollowing(
    locked: LockedConsumer,
    consumer: Consumer,
    nextGeneration: number,
  ): Promise<boolean> {
    const { name, generation } = locked;
    const hasEffects = !isTransactional(locked);
    const inUse = await (hasEffects
      ? locked.lockPartitions(generation)
      : locked.partitions(generation));
    const next = await locked.partitions(nextGeneration);
    const [end] = await locked.query<{ head: number }>(this.#statements.endOfLog, []);
    // A position after the end of the log, as after a restore, need not be reached.
    const target = Math.min(end!.head, ...inUse.map(({ position }) => position));
    if (next.some(({ position }) => position < target)) return false;
    const parked = hasEffects ? await locked.parked(generation) : 0;
    const values = [name, generation, this.#channel];
    if (parked > 0 && inUse.some(({ status }) => status === 'replaced')) {
      // Its work at the time of the halt was parked, and can be retried only if the generation
      // continues.
      await locked.query(this.#statements.endHalt, values);
      return false;
    }
    refuseParked(name, parked, 'its rebuild takes over');
    if (inUse.some(({ status }) => status !== 'replaced')) {
      await locked.query(this.#statements.halt, values);
      return false;
    }
    if (inUse.some((each) => each.held)) return false;
    const reached = { positions: inUse.map(({ position }) => position) };
    await this.#exchange(locked, consumer, nextGeneration, reached);
    return true;
  }

  async #exchange(
    locked: LockedConsumer,
    consumer: Consumer,
    next: number,
    reached: PartitionPositions | null,
  ): Promise<void> {
    const { name, hooks } = consumer;
    const { generation: former, manager } = locked;
    await this.#tables.record(locked, next, async () => {
      await runHandler(() => hooks.activate?.({ generation: next, manager }));
      if (former > 0) await this.#tables.discard(locked, consumer, former);
    });
    const status = reached ? 'waiting' : 'live';
    const values = [name, next, status, JSON.stringify(reached ? [reached] : [])];
    await locked.query(this.#statements.activate, values);
    await locked.query(this.#statements.delete, [name, former]);
  }
}

/** Rolls back a change that must be tried again later. */
class NotNowError extends Error {}
