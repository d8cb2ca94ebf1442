import type { EntityManager } from 'typeorm';
import type { HeldCheckpoint } from '../subscriptions/checkpoint-store.ts';
import {
  type Consumer,
  type ConsumerKind,
  type GenerationScope,
  isTransactional,
} from '../subscriptions/consumer.ts';
import { HandlerFailure } from '../subscriptions/handler-failure.ts';
import type { RebuildOptions } from '../subscriptions/consumer-registry.ts';
import type { Mark } from '../subscriptions/marks.ts';
import {
  ConsumerStateError,
  LeaseLostError,
  UnknownConsumerError,
} from '../subscriptions/subscriptions.errors.ts';
import { type Database, Statement } from './database.ts';
import { isLockTimeout } from './postgres-errors.ts';
import { InlineLock } from './inline-lock.ts';
import { channelOf } from './postgres.signals.ts';
import {
  activateGeneration,
  beginGeneration,
  countParked,
  deleteGeneration,
  endHalt,
  endRebuild,
  haltGeneration,
  lockConsumer,
  lockPositions,
  readPositions,
  readPositionsInUse,
  resetCheckpoints,
  setPreparedGeneration,
} from './sql/generations.ts';
import { readEnd, readLastPosition } from './sql/read-log.ts';

interface PositionRow {
  position: number;
  status: string;
  held: boolean;
}

interface ConsumerRow {
  kind: ConsumerKind;
  generation: number;
  next_generation: number | null;
  prepared_generation: number;
}

/**
 * Makes, exchanges and removes the generations of consumers.
 *
 * Each change is one transaction that begins by locking the consumer's row, so that of two that come
 * at once the second sees what the first has done. The hooks of the projection run in it.
 */
export class Generations {
  readonly #database: Database;
  readonly #inlineLock: InlineLock;
  readonly #channel: string;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#inlineLock = new InlineLock(database, schema);
    this.#channel = channelOf(schema);
    this.#statements = {
      lock: new Statement(lockConsumer(schema)),
      positions: new Statement(readPositions(schema)),
      lockPositions: new Statement(lockPositions(schema)),
      parked: new Statement(countParked(schema)),
      positionsInUse: new Statement(readPositionsInUse(schema)),
      halt: new Statement(haltGeneration(schema)),
      endHalt: new Statement(endHalt(schema)),
      activate: new Statement(activateGeneration(schema)),
      delete: new Statement(deleteGeneration(schema)),
      prepared: new Statement(setPreparedGeneration(schema)),
      begin: new Statement(beginGeneration(schema)),
      end: new Statement(endRebuild(schema)),
      reset: new Statement(resetCheckpoints(schema)),
      lastPosition: new Statement(readLastPosition(schema)),
      endOfLog: new Statement(readEnd(schema)),
    };
  }

  /** Has the projection make the read model of a generation, unless that was done. */
  async prepare({ name, hooks }: Consumer, wanted?: number): Promise<void> {
    await this.#locked(name, async (consumer, manager) => {
      const generation = wanted ?? consumer.generation;
      if (consumer.prepared_generation >= generation) return;
      // One that was given up meanwhile: nobody would remove what is made for it now.
      if (![consumer.generation, consumer.next_generation].includes(generation)) return;
      await called(hooks.prepare?.bind(hooks), { generation, manager });
      if (consumer.generation === generation) {
        await called(hooks.activate?.bind(hooks), { generation, manager });
      }
      await this.#database.query(this.#statements.prepared, [name, generation], manager);
    });
  }

  async markInUse(consumer: string): Promise<Mark | null> {
    const rows = await this.#database.query<{ position: number }>(this.#statements.positionsInUse, [
      consumer,
    ]);
    return rows.length === 0 ? null : { positions: rows.map((row) => row.position) };
  }

  /**
   * Puts a generation in the place of the one in use.
   *
   * In two steps. First the one in use is halted: its owner commits what it has in hand and lets go, so
   * that no effect comes twice, and the place that the other has to reach stands still. Then, once
   * that is reached, both change places. In one step they could wait for each other: the owner's batch
   * for the checkpoint that is locked here, and `discard` for the tables that the batch has written to.
   */
  async replace(
    held: HeldCheckpoint,
    consumer: Consumer,
    catchUp: (manager: EntityManager, through: number) => Promise<boolean>,
  ): Promise<boolean> {
    const { name } = consumer;
    const replacing = this.#locked(name, async ({ kind, generation, next_generation }, manager) => {
      if (next_generation !== held.generation) throw new LeaseLostError(name, held.partition);
      if (kind === 'inline-projection') {
        // Every append that it concerns holds this lock until its commit: all of them are in the log
        // now, none comes before the change, and those behind it find the new generation.
        await this.#inlineLock.exclusively(name, manager);
        const last = await this.#lastPosition(manager);
        if (!(await catchUp(manager, last))) throw new NotNowError();
        await this.#exchange(consumer, generation, held.generation, null, manager);
        return true;
      }
      const hasEffects = !isTransactional({ kind });
      const inUse = await (hasEffects
        ? this.#lockPositions(name, generation, manager)
        : this.#positions(name, generation, manager));
      const next = await this.#positions(name, held.generation, manager);
      const [end] = await this.#database.query<{ head: number }>(
        this.#statements.endOfLog,
        [],
        manager,
      );
      // One that stands behind the end of the log, as after a restore, need not be reached.
      const target = Math.min(end!.head, ...inUse.map(({ position }) => position));
      if (next.some(({ position }) => position < target)) return false;
      const parked = hasEffects ? await this.#parked(name, generation, manager) : 0;
      const values = [name, generation, this.#channel];
      if (parked > 0 && inUse.some(({ status }) => status === 'replaced')) {
        // What it had in hand when it was halted was parked: only if it goes on can that be retried.
        await this.#database.query(this.#statements.endHalt, values, manager);
        return false;
      }
      refuseParked(name, parked, 'its rebuild takes over');
      if (inUse.some(({ status }) => status !== 'replaced')) {
        await this.#database.query(this.#statements.halt, values, manager);
        return false;
      }
      if (inUse.some((each) => each.held)) return false;
      const mark = { positions: inUse.map(({ position }) => position) };
      await this.#exchange(consumer, generation, held.generation, mark, manager);
      return true;
    });
    return replacing.catch((error: unknown) => {
      // A hook may have to wait for queries on the read model; those come to an end.
      const cause = error instanceof HandlerFailure ? error.cause : error;
      if (cause instanceof NotNowError || isLockTimeout(cause)) return false;
      throw error;
    });
  }

  /** Begins to build the next generation, and returns its number. */
  async begin({ name }: Consumer, { from = 0, eventsPerSecond }: RebuildOptions): Promise<number> {
    return this.#locked(name, async (consumer, manager) => {
      refuseDuringRebuild(name, consumer);
      const { kind, generation } = consumer;
      const isInline = kind === 'inline-projection';
      const inUse = isInline ? [] : await this.#positions(name, generation, manager);
      const last = await this.#lastPosition(manager);
      const furthest = Math.min(last, ...inUse.map(({ position }) => position));
      if (from > furthest) {
        throw new ConsumerStateError(
          name,
          `has come to position ${furthest}, and a rebuild that begins behind ${from} would leave out ` +
            `what lies between. Call rebuild('${name}', { from }) with ${furthest} or less.`,
        );
      }
      // What a projection has parked is applied by the rebuild, or parked by it again.
      const parked = isTransactional(consumer) ? 0 : await this.#parked(name, generation, manager);
      refuseParked(name, parked, `rebuild('${name}')`);
      const next = Math.max(consumer.generation, consumer.prepared_generation) + 1;
      const values = [name, next, from, eventsPerSecond];
      await this.#database.query(this.#statements.begin, values, manager);
      return next;
    });
  }

  /** Ends a rebuild and removes what it has built. */
  async cancel({ name, hooks }: Consumer): Promise<void> {
    await this.#asked(name, async ({ generation, ...consumer }, manager) => {
      const next = consumer.next_generation;
      if (next === null) throw new ConsumerStateError(name, 'is not being rebuilt.');
      if (generation === 0) {
        throw new ConsumerStateError(
          name,
          'is being built for the first time; there is no generation to go back to. Stop the ' +
            'applications that have it instead.',
        );
      }
      // First the tables, for which a batch in flight may have to be waited, and then the checkpoint,
      // which that batch wants at its end.
      if (consumer.prepared_generation >= next) {
        await called(hooks.discard?.bind(hooks), { generation: next, manager });
      }
      await this.#database.query(this.#statements.delete, [name, next], manager);
      await this.#database.query(this.#statements.end, [name], manager);
    });
  }

  /** Puts the generation in use to another position. */
  async reset(name: string, position: number): Promise<void> {
    await this.#locked(name, async (consumer, manager) => {
      const { generation, kind } = consumer;
      refuseDuringRebuild(name, consumer);
      if (kind === 'inline-projection') {
        throw new ConsumerStateError(
          name,
          'runs inside the appends and has no place to go back to. Call rebuild() instead.',
        );
      }
      const last = await this.#lastPosition(manager);
      if (position > last) {
        throw new ConsumerStateError(
          name,
          `cannot be put to position ${position}: the log ends at ${last}.`,
        );
      }
      const reached = await this.#lockPositions(name, generation, manager);
      const parked = await this.#parked(name, generation, manager);
      refuseParked(name, parked, `reset('${name}', ${position})`);
      const marks: Mark[] = [{ positions: reached.map((each) => each.position) }];
      const values = [name, position, JSON.stringify(marks)];
      await this.#database.query(this.#statements.reset, values, manager);
    });
  }

  async #exchange(
    { name, hooks }: Consumer,
    former: number,
    next: number,
    mark: Mark | null,
    manager: EntityManager,
  ): Promise<void> {
    await called(hooks.activate?.bind(hooks), { generation: next, manager });
    if (former > 0) await called(hooks.discard?.bind(hooks), { generation: former, manager });
    const status = mark ? 'waiting' : 'live';
    const values = [name, next, status, JSON.stringify(mark ? [mark] : [])];
    await this.#database.query(this.#statements.activate, values, manager);
    await this.#database.query(this.#statements.delete, [name, former], manager);
  }

  #positions(consumer: string, generation: number, manager: EntityManager): Promise<PositionRow[]> {
    return this.#database.query(this.#statements.positions, [consumer, generation], manager);
  }

  /** What its owners are committing is awaited: they can neither park nor finish anything from now on. */
  #lockPositions(
    consumer: string,
    generation: number,
    manager: EntityManager,
  ): Promise<PositionRow[]> {
    return this.#database.query(this.#statements.lockPositions, [consumer, generation], manager);
  }

  async #parked(consumer: string, generation: number, manager: EntityManager): Promise<number> {
    const values = [consumer, generation];
    const [row] = await this.#database.query<{ parked: number }>(
      this.#statements.parked,
      values,
      manager,
    );
    return row!.parked;
  }

  async #lastPosition(manager: EntityManager): Promise<number> {
    const [drawn] = await this.#database.query<{ last: number }>(
      this.#statements.lastPosition,
      [],
      manager,
    );
    return drawn!.last;
  }

  /** What a hook throws reaches whoever asked for the change, and not a wrapper of it. */
  async #asked<T>(
    name: string,
    work: (consumer: ConsumerRow, manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#locked(name, work);
    } catch (error) {
      throw error instanceof HandlerFailure ? error.cause : error;
    }
  }

  #locked<T>(
    name: string,
    work: (consumer: ConsumerRow, manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.#database.transaction(async (manager) => {
      const [consumer] = await this.#database.query<ConsumerRow & { kind: string }>(
        this.#statements.lock,
        [name],
        manager,
      );
      if (!consumer) throw new UnknownConsumerError(name, []);
      return work(consumer, manager);
    });
  }
}

/** Calls a hook of the projection, whose errors are its own. */
async function called(
  hook: ((scope: GenerationScope) => Promise<void> | void) | undefined,
  scope: GenerationScope,
): Promise<void> {
  try {
    await hook?.(scope);
  } catch (error) {
    throw new HandlerFailure(error);
  }
}

/** Parked events were never handled: afterwards they would come as replayed, or not at all. */
function refuseParked(name: string, parked: number, before: string): void {
  if (parked === 0) return;
  throw new ConsumerStateError(
    name,
    `has ${parked} parked ${parked === 1 ? 'event' : 'events'}, whose effects would be lost. Call ` +
      `retryParked('${name}'), or discardParked for what parked('${name}') names, before ${before}.`,
  );
}

/** Rolls a change back that is to be tried again. */
class NotNowError extends Error {}

function refuseDuringRebuild(name: string, { next_generation }: ConsumerRow): void {
  if (next_generation === null) return;
  throw new ConsumerStateError(
    name,
    `is being rebuilt as generation ${next_generation} already. Wait for it, or call cancelRebuild('${name}').`,
  );
}
