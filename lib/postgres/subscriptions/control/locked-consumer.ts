import type { EntityManager } from 'typeorm';
import type { QueryResultRow } from 'pg';
import type { ConsumerKind } from '../../../subscriptions/consumer.ts';
import { UnknownConsumerError } from '../../../subscriptions/subscriptions.errors.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { countParked, lockConsumer, lockPositions, readPositions } from '../generations.sql.ts';
import { readLastPosition } from '../../schema/functions/read-log.sql.ts';

interface ConsumerRow {
  kind: ConsumerKind;
  generation: number;
  next_generation: number | null;
  prepared_generation: number;
}

/** The position of one partition of a generation, and whether a process holds it. */
export interface PartitionProgress {
  readonly position: number;
  readonly status: string;
  readonly held: boolean;
}

/**
 * Changes consumers. Each change is a transaction that begins by locking the consumer's row, so that
 * the second of two concurrent changes sees what the first has done.
 */
export class ConsumerChanges {
  readonly #database: Database;
  readonly #lock: Statement;
  readonly #statements: LookStatements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#lock = new Statement(lockConsumer(schema));
    this.#statements = {
      positions: new Statement(readPositions(schema)),
      lockPositions: new Statement(lockPositions(schema)),
      parked: new Statement(countParked(schema)),
      lastPosition: new Statement(readLastPosition(schema)),
    };
  }

  /** @throws UnknownConsumerError if there is no row to lock. */
  change<T>(name: string, work: (consumer: LockedConsumer) => Promise<T>): Promise<T> {
    return this.#database.transaction(async (manager) => {
      const [row] = await this.#database.query<ConsumerRow>(this.#lock, [name], manager);
      if (!row) throw new UnknownConsumerError(name, []);
      return work(new LockedConsumer(this.#database, this.#statements, name, row, manager));
    });
  }
}

interface LookStatements {
  readonly positions: Statement;
  readonly lockPositions: Statement;
  readonly parked: Statement;
  readonly lastPosition: Statement;
}

/** A consumer while its row is locked, with its state in that transaction. */
export class LockedConsumer {
  readonly kind: ConsumerKind;
  /** The generation in use; 0 while none is in use yet. */
  readonly generation: number;
  /** The generation that is being built, if any. */
  readonly next: number | null;
  /** The last generation that has a read model. */
  readonly prepared: number;

  constructor(
    private readonly database: Database,
    private readonly statements: LookStatements,
    readonly name: string,
    row: ConsumerRow,
    readonly manager: EntityManager,
  ) {
    this.kind = row.kind;
    this.generation = row.generation;
    this.next = row.next_generation;
    this.prepared = row.prepared_generation;
  }

  /** Runs a statement in the transaction that holds the lock. */
  query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return this.database.query<Row>(statement, values, this.manager);
  }

  partitions(generation: number): Promise<PartitionProgress[]> {
    return this.query(this.statements.positions, [this.name, generation]);
  }

  /**
   * Waits for what the owners are committing; from then on, they can neither park nor finish an event.
   */
  lockPartitions(generation: number): Promise<PartitionProgress[]> {
    return this.query(this.statements.lockPositions, [this.name, generation]);
  }

  /** Counts the events that a generation has parked. */
  async parked(generation: number): Promise<number> {
    const values = [this.name, generation];
    const [row] = await this.query<{ parked: number }>(this.statements.parked, values);
    return row!.parked;
  }

  /** The last position that was drawn. */
  async lastPosition(): Promise<number> {
    const [drawn] = await this.query<{ last: number }>(this.statements.lastPosition, []);
    return drawn!.last;
  }
}
