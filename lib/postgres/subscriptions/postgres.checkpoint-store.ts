import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';
import { EventStoreError } from '../../event-store.error.ts';
import {
  CheckpointStore,
  type CheckpointKey,
  type CheckpointTransaction,
  type Failure,
  type HeldCheckpoint,
  type Progress,
} from '../../subscriptions/checkpoint-store.ts';
import { describeError } from './describe-error.ts';
import { HandlerFailure } from '../../subscriptions/delivery/handler-failure.ts';
import type { PartitionPositions } from '../../subscriptions/partition-positions.ts';
import { HistoryDivergedError, LeaseLostError } from '../../subscriptions/subscriptions.errors.ts';
import type { ControlConnection } from '../connection/control-connection.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { CheckpointTransactions } from './checkpoint-transactions.ts';
import {
  isTimeLimit,
  isTransactionTimeout,
  isTransient,
  translateError,
} from '../connection/errors/translate-error.ts';
import { channelOf } from './postgres.signals.ts';
import {
  boundTransaction,
  failCheckpoint,
  releaseCheckpoints,
  releaseProcess,
  saveCheckpoint,
  saveCheckpointSoon,
} from './checkpoints.sql.ts';

interface HeldRow {
  consumer: string;
  generation: number;
  partition: number;
  partitions: number;
  fence: number;
  position: number;
  finished: string;
  replayed: string;
  takeovers: number;
  unwanted: boolean;
  diverged: boolean;
  retry_parked: boolean;
  lost_table: string | null;
  is_prepared: boolean;
  is_rebuild: boolean;
  events_per_second: number | null;
}

/** Keeps the checkpoints in the store's schema, next to the events and the read models. */
export class PostgresCheckpointStore extends CheckpointStore {
  readonly #database: Database;
  readonly #connection: ControlConnection;
  readonly #transactions: CheckpointTransactions;
  readonly #channel: string;
  readonly #statements;

  constructor(database: Database, connection: ControlConnection, schema: string) {
    super();
    this.#database = database;
    this.#connection = connection;
    this.#transactions = new CheckpointTransactions(database, schema);
    this.#channel = channelOf(schema);
    this.#statements = {
      hold: new Statement(`SELECT * FROM "${schema}".hold_checkpoints($1, $2, $3, $4)`),
      release: new Statement(releaseCheckpoints(schema)),
      releaseProcess: new Statement(releaseProcess(schema)),
      save: new Statement(saveCheckpoint(schema)),
      saveSoon: new Statement(saveCheckpointSoon(schema)),
      fail: new Statement(failCheckpoint(schema)),
      bound: new Statement(boundTransaction),
    };
  }

  async hold(
    owner: string,
    consumers: readonly string[],
    leaseMs: number,
  ): Promise<readonly HeldCheckpoint[]> {
    const values = [owner, consumers, leaseMs, this.#channel];
    const rows = await this.#connection.query<HeldRow>(this.#statements.hold, values);
    return rows.map((row) => ({
      owner,
      consumer: row.consumer,
      generation: row.generation,
      partition: row.partition,
      partitions: row.partitions,
      fence: row.fence,
      position: row.position,
      finished: JSON.parse(row.finished) as PartitionPositions[],
      replayed: JSON.parse(row.replayed) as PartitionPositions[],
      takeovers: row.takeovers,
      unwanted: row.unwanted,
      diverged: row.diverged,
      retryParked: row.retry_parked,
      lostTable: row.lost_table,
      isPrepared: row.is_prepared,
      rebuild: row.is_rebuild ? { eventsPerSecond: row.events_per_second } : null,
    }));
  }

  async release(owner: string, keys?: readonly CheckpointKey[]): Promise<void> {
    if (keys === undefined) {
      await this.#connection.query(this.#statements.releaseProcess, [owner]);
    } else if (keys.length > 0) {
      await this.#connection.query(this.#statements.release, [
        owner,
        keys.map((key) => key.consumer),
        keys.map((key) => key.generation),
        keys.map((key) => key.partition),
      ]);
    }
  }

  async save(held: HeldCheckpoint, progress: Progress): Promise<void> {
    await this.#write(this.#statements.saveSoon, held, progress);
  }

  async transaction(
    held: HeldCheckpoint,
    timeoutMs: number,
    work: (transaction: CheckpointTransaction) => Promise<Progress>,
  ): Promise<void> {
    await this.#namingTimeouts(async (manager) => {
      await this.#database.query(this.#statements.bound, [String(timeoutMs)], manager);
      const progress = await work(this.#transactions.of(held, manager));
      // The save is the last statement. It fails if the handlers have left the transaction aborted, so
      // that no COMMIT is sent that PostgreSQL would answer with ROLLBACK. It also locks the row for as
      // short a time as possible, so that a frozen owner does not keep another process from taking
      // over.
      await this.#write(this.#statements.save, held, progress, manager);
    });
  }

  /**
   * Runs work in a transaction; if the server ended the transaction, fails with the server's reason.
   *
   * If a handler is between two statements, the server reports the reason as an event of the
   * connection, and the next statement only finds that the connection is gone.
   */
  async #namingTimeouts(work: (manager: EntityManager) => Promise<void>): Promise<void> {
    let timeout: Error | undefined;
    const note = (error: Error): void => {
      if (isTransactionTimeout(error)) timeout ??= error;
    };
    let client: PoolClient | undefined;
    try {
      await this.#database.transaction(async (manager) => {
        client = (await manager.queryRunner!.connect()) as PoolClient;
        client.on('error', note);
        await work(manager);
      });
    } catch (error) {
      throw timeout ? translateError(timeout) : error;
    } finally {
      client?.off('error', note);
    }
  }

  async fail(
    held: HeldCheckpoint,
    status: 'retrying' | 'stopped',
    failure: Failure,
  ): Promise<void> {
    const { error, position, failures } = failure;
    const values = [...ownership(held), status, describeError(error), position, failures];
    const rows = await this.#database.query(this.#statements.fail, values);
    if (rows.length === 0) throw new LeaseLostError(held.consumer, held.partition);
  }

  isInterruption(error: unknown): boolean {
    if (error instanceof LeaseLostError || error instanceof HistoryDivergedError) return true;
    return isTransient(saidByDriver(error));
  }

  isTimeLimit(error: unknown): boolean {
    return error instanceof HandlerFailure
      ? isTimeLimit(saidByDriver(error.cause))
      : isTransactionTimeout(saidByDriver(error));
  }

  async #write(
    statement: Statement,
    held: HeldCheckpoint,
    { position, mark, status, eventsPerSecond }: Progress,
    manager?: EntityManager,
  ): Promise<void> {
    const values = [
      ...[...ownership(held), position, status, eventsPerSecond, held.position],
      ...[mark?.position, mark?.id, mark?.aggregate.type, mark?.aggregate.id, mark?.version],
    ];
    const [saved] = await this.#database.query<{ holds: boolean; held: boolean }>(
      statement,
      values,
      manager,
    );
    if (!saved?.holds) throw new HistoryDivergedError(held.consumer, mark?.position ?? position);
    if (!saved.held) throw new LeaseLostError(held.consumer, held.partition);
  }
}

/** Returns the driver's error, which the store's own errors have as their cause. */
const saidByDriver = (error: unknown): unknown =>
  error instanceof EventStoreError ? (error.cause ?? error) : error;

const ownership = ({
  consumer,
  generation,
  partition,
  fence,
  owner,
}: HeldCheckpoint): unknown[] => [consumer, generation, partition, fence, owner];
