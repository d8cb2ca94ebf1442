import type { AggregateRef } from '../store/aggregate-ref.ts';
import type { Consumer, ConsumerKind } from '../subscriptions/consumer.ts';
import {
  ConsumerRegistry,
  type Reached,
  type RebuildOptions,
} from '../subscriptions/consumer-registry.ts';
import type {
  ConsumerState,
  ParkedAggregate,
  PartitionState,
} from '../subscriptions/consumer-state.ts';
import { type ConsumerStatus, worstStatus } from '../subscriptions/consumer-status.ts';
import { ConsumerStateError, UnknownConsumerError } from '../subscriptions/subscriptions.errors.ts';
import { type Database, Statement } from './database.ts';
import { Generations } from './generations.ts';
import { translateError } from './postgres-errors.ts';
import { setPaused, startStopped } from './sql/generations.ts';
import { discardParked, lockParked, readParked, retryParked } from './sql/parked-events.ts';
import { readConsumers, readReached } from './sql/read-consumers.ts';

interface CheckpointRow {
  name: string;
  kind: ConsumerKind;
  generation_in_use: number;
  next_generation: number | null;
  paused: boolean;
  parked: number;
  generation: number;
  partition: number;
  position: number;
  owner: string | null;
  events_per_second: number;
  error: string | null;
  error_position: number | null;
  failures: number;
  failed_at: number | null;
  status: ConsumerStatus;
  last: number;
  lag_ms: number | null;
}

interface ParkedRow {
  type: string;
  id: string;
  position: number;
  events: number;
  event_id: string;
  error: string;
  failures: number;
  failed_at: number;
  retrying: boolean;
}

/** The consumers of a store, as its schema knows them. */
export class PostgresConsumerRegistry extends ConsumerRegistry {
  readonly #database: Database;
  readonly #generations: Generations;
  readonly #statements;

  constructor(database: Database, schema: string) {
    super();
    this.#database = database;
    this.#generations = new Generations(database, schema);
    this.#statements = {
      register: new Statement(`SELECT "${schema}".register_consumer($1, $2, $3, $4) AS kind`),
      states: new Statement(readConsumers(schema)),
      reached: new Statement(readReached(schema)),
      pause: new Statement(setPaused(schema)),
      start: new Statement(startStopped(schema)),
      parked: new Statement(readParked(schema)),
      retryParked: new Statement(retryParked(schema)),
      lockParked: new Statement(lockParked(schema)),
      discardParked: new Statement(discardParked(schema)),
    };
  }

  async register(consumers: readonly Consumer[]): Promise<void> {
    for (const { name, kind, settings } of consumers) {
      const values = [name, kind, settings.partitions, settings.from === 'now'];
      const [known] = await this.#query<{ kind: string }>(this.#statements.register, values);
      if (known!.kind === kind) continue;
      throw new ConsumerStateError(
        name,
        `is known to this store as '${known!.kind}', and now it is '${kind}'. What it has built ` +
          'would not fit: give it another name.',
      );
    }
  }

  async states(): Promise<readonly ConsumerState[]> {
    const rows = await this.#query<CheckpointRow>(this.#statements.states, []);
    return [...groupByName(rows).values()].map(toState);
  }

  async reached(consumers: readonly string[]): Promise<ReadonlyMap<string, Reached>> {
    const rows = await this.#query<Reached & { name: string }>(this.#statements.reached, [
      consumers,
    ]);
    const reached = new Map<string, Reached>();
    for (const { name, position, status, error } of rows) {
      const other = reached.get(name);
      reached.set(name, {
        position: Math.min(position, other?.position ?? position),
        status: other ? worstStatus([status, other.status]) : status,
        error: other?.error ?? error,
      });
    }
    return reached;
  }

  async pause(consumer: string): Promise<void> {
    const paused = await this.#query(this.#statements.pause, [consumer, true]);
    if (paused.length > 0) return;
    await this.#mustBeKnown(consumer);
    throw new ConsumerStateError(
      consumer,
      'is being built for the first time, and applications that have it wait for it to start. Stop ' +
        'those instead; it goes on from where it is when one starts again.',
    );
  }

  async resume(consumer: string): Promise<void> {
    await this.#known(consumer, this.#query(this.#statements.pause, [consumer, false]));
  }

  async start(consumer: string): Promise<void> {
    await this.#known(consumer, this.#query(this.#statements.start, [consumer]));
  }

  reset(consumer: string, position: number): Promise<void> {
    return this.#generations.reset(consumer, position);
  }

  rebuild(consumer: Consumer, options: RebuildOptions): Promise<number> {
    return this.#generations.begin(consumer, options);
  }

  cancelRebuild(consumer: Consumer): Promise<void> {
    return this.#generations.cancel(consumer);
  }

  async parked(consumer: string): Promise<readonly ParkedAggregate[]> {
    await this.#mustBeKnown(consumer);
    const rows = await this.#query<ParkedRow>(this.#statements.parked, [consumer]);
    return rows.map((row) => ({
      aggregate: { type: row.type, id: row.id },
      position: row.position,
      eventId: row.event_id,
      events: row.events,
      failure: {
        message: row.error,
        position: row.position,
        failures: row.failures,
        at: new Date(row.failed_at),
      },
      retrying: row.retrying,
    }));
  }

  async retryParked(consumer: string, aggregate?: AggregateRef): Promise<number> {
    await this.#mustBeKnown(consumer);
    const values = [consumer, aggregate?.type, aggregate?.id];
    return (await this.#query(this.#statements.retryParked, values)).length;
  }

  async discardParked(consumer: string, position: number): Promise<void> {
    await this.#mustBeKnown(consumer);
    if (await this.#discard([consumer, position])) return;
    throw new ConsumerStateError(
      consumer,
      `has no event parked at position ${position}; see parked('${consumer}').`,
    );
  }

  async #discard(values: readonly unknown[]): Promise<boolean> {
    const { lockParked: lock, discardParked: discard } = this.#statements;
    try {
      return await this.#database.transaction(async (manager) => {
        // A statement of its own: only what begins after the wait sees what was parked meanwhile.
        await this.#database.query(lock, values, manager);
        return (await this.#database.query(discard, values, manager)).length > 0;
      });
    } catch (error) {
      throw translateError(error);
    }
  }

  async #query<Row extends object>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    try {
      return await this.#database.query<Row>(statement, values);
    } catch (error) {
      throw translateError(error);
    }
  }

  async #mustBeKnown(consumer: string): Promise<void> {
    if ((await this.reached([consumer])).has(consumer)) return;
    const names = (await this.states()).map((state) => state.name);
    throw new UnknownConsumerError(consumer, names);
  }

  async #known(consumer: string, answer: Promise<readonly object[]>): Promise<void> {
    if ((await answer).length === 0) await this.#mustBeKnown(consumer);
  }
}

function toState(rows: readonly CheckpointRow[]): ConsumerState {
  const { name, kind, paused, parked, generation_in_use, next_generation, last } = rows[0]!;
  const isInline = kind === 'inline-projection';
  const partitions = rows.map((row) =>
    isInline && row.generation === generation_in_use ? inlineState(row) : toPartition(row),
  );
  const shown = Math.max(1, generation_in_use);
  const inUse = partitions.filter(({ generation }) => generation === shown);
  const next = rows.filter(({ generation }) => generation === next_generation);
  const position = Math.min(...inUse.map((each) => each.position));
  return {
    name,
    kind,
    generation: generation_in_use,
    paused,
    status: worstStatus(inUse.map((each) => each.status)),
    position,
    lagEvents: Math.max(...inUse.map((each) => each.lagEvents)),
    lagMs: Math.max(...inUse.map((each) => each.lagMs)),
    partitions,
    rebuild: next.length > 0 ? toRebuild(next, isInline ? last : Math.min(last, position)) : null,
    parkedEvents: parked,
  };
}

function toPartition(row: CheckpointRow): PartitionState {
  const { generation, partition, status, owner, position, events_per_second, last, lag_ms } = row;
  return {
    generation,
    partition,
    status,
    owner,
    position,
    lagEvents: lag_ms === null ? 0 : last - position,
    lagMs: lag_ms === null ? 0 : Math.round(lag_ms),
    eventsPerSecond: Math.round(events_per_second),
    error:
      row.error === null
        ? null
        : {
            message: row.error,
            position: row.error_position,
            failures: row.failures,
            at: new Date(row.failed_at!),
          },
  };
}

/** One that runs inside the appends is always where the log is. */
const inlineState = (row: CheckpointRow): PartitionState => ({
  ...toPartition(row),
  status: 'live',
  position: row.last,
  lagEvents: 0,
  lagMs: 0,
});

function toRebuild(rows: readonly CheckpointRow[], target: number): ConsumerState['rebuild'] {
  const position = Math.min(...rows.map((row) => row.position));
  const slowest = Math.min(...rows.map((row) => row.events_per_second));
  const remaining = Math.max(0, target - position);
  return {
    generation: rows[0]!.generation,
    position,
    target,
    progress: target === 0 ? 1 : Math.min(1, position / target),
    remainingMs: slowest > 0 ? Math.round((remaining / slowest) * 1_000) : null,
  };
}

function groupByName(rows: readonly CheckpointRow[]): Map<string, CheckpointRow[]> {
  const groups = new Map<string, CheckpointRow[]>();
  for (const row of rows) groups.set(row.name, [...(groups.get(row.name) ?? []), row]);
  return groups;
}
