import { type Consumer, isTransactional } from '../../../subscriptions/consumer.ts';
import type { RebuildOptions } from '../../../subscriptions/consumer-registry.ts';
import { HandlerFailure } from '../../../subscriptions/delivery/handler-failure.ts';
import type { PartitionPositions } from '../../../subscriptions/partition-positions.ts';
import { ConsumerStateError } from '../../../subscriptions/subscriptions.errors.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { ConsumerChanges, type LockedConsumer } from './locked-consumer.ts';
import { translateError } from '../../connection/errors/translate-error.ts';
import { ReadModelTables } from '../read-model-tables.ts';
import { refuseParked } from '../refuse-parked.ts';
import {
  beginGeneration,
  deleteGeneration,
  endRebuild,
  resetCheckpoints,
} from '../generations.sql.ts';

/** The requests of an operator that change the generations of a consumer, or its position. */
export class OperatorRequests {
  readonly #changes: ConsumerChanges;
  readonly #tables: ReadModelTables;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#changes = new ConsumerChanges(database, schema);
    this.#tables = new ReadModelTables(database, schema);
    this.#statements = {
      begin: new Statement(beginGeneration(schema)),
      delete: new Statement(deleteGeneration(schema)),
      end: new Statement(endRebuild(schema)),
      reset: new Statement(resetCheckpoints(schema)),
    };
  }

  /** Begins to build the next generation, and returns its number. */
  async rebuild(
    { name }: Consumer,
    { from = 0, eventsPerSecond }: RebuildOptions,
  ): Promise<number> {
    return this.#changes.change(name, async (consumer) => {
      refuseDuringRebuild(consumer);
      const { kind, generation } = consumer;
      const inUse = kind === 'inline-projection' ? [] : await consumer.partitions(generation);
      const last = await consumer.lastPosition();
      const furthest = Math.min(last, ...inUse.map(({ position }) => position));
      if (from > furthest) {
        throw new ConsumerStateError(
          name,
          `has come to position ${furthest}, and a rebuild that begins after ${from} would leave out ` +
            `what lies between. Call rebuild('${name}', { from }) with ${furthest} or less.`,
        );
      }
      // Events that a projection has parked are applied by the rebuild, or parked by it again.
      const parked = isTransactional(consumer) ? 0 : await consumer.parked(generation);
      refuseParked(name, parked, `rebuild('${name}')`);
      const next = Math.max(generation, consumer.prepared) + 1;
      await consumer.query(this.#statements.begin, [name, next, from, eventsPerSecond]);
      return next;
    });
  }

  /** Ends a rebuild and removes what it has built. An error of a hook is thrown unchanged. */
  async cancelRebuild(cancelled: Consumer): Promise<void> {
    const { name } = cancelled;
    const cancelling = this.#changes.change(name, async (consumer) => {
      const { generation, next } = consumer;
      if (next === null) throw new ConsumerStateError(name, 'is not being rebuilt.');
      if (generation === 0) {
        throw new ConsumerStateError(
          name,
          'is being built for the first time; there is no generation to go back to. Stop the ' +
            'applications that have it instead.',
        );
      }
      // First the tables, because that may have to wait for a batch in flight, and then the checkpoint,
      // which that batch needs at its end.
      if (consumer.prepared >= next) await this.#tables.discard(consumer, cancelled, next);
      await consumer.query(this.#statements.delete, [name, next]);
      await consumer.query(this.#statements.end, [name]);
    });
    await cancelling.catch((error: unknown) => {
      throw error instanceof HandlerFailure ? error.cause : translateError(error);
    });
  }

  /** Moves the generation in use to another position. */
  async reset(name: string, position: number): Promise<void> {
    await this.#changes.change(name, async (consumer) => {
      const { generation, kind } = consumer;
      refuseDuringRebuild(consumer);
      if (kind === 'inline-projection') {
        throw new ConsumerStateError(
          name,
          'runs inside the appends and has no place to go back to. Call rebuild() instead.',
        );
      }
      const last = await consumer.lastPosition();
      if (position > last) {
        throw new ConsumerStateError(
          name,
          `cannot be put to position ${position}: the log ends at ${last}.`,
        );
      }
      const reached = await consumer.lockPartitions(generation);
      refuseParked(name, await consumer.parked(generation), `reset('${name}', ${position})`);
      const reachedBefore: PartitionPositions[] = [
        { positions: reached.map((each) => each.position) },
      ];
      await consumer.query(this.#statements.reset, [name, position, JSON.stringify(reachedBefore)]);
      // The caller is responsible for the state of the read model.
      await this.#tables.forgetLost(consumer, generation);
    });
  }
}

function refuseDuringRebuild({ name, next }: LockedConsumer): void {
  if (next === null) return;
  throw new ConsumerStateError(
    name,
    `is being rebuilt as generation ${next} already. Wait for it, or call cancelRebuild('${name}').`,
  );
}
