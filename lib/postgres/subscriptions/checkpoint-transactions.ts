import type { EntityManager } from 'typeorm';
import type {
  CheckpointTransaction,
  HeldCheckpoint,
} from '../../subscriptions/checkpoint-store.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { describeError } from './describe-error.ts';
import { parkEvents, unparkEvent } from './parked-events.sql.ts';
import { keepSkippedByPolicy } from './skipped-events.sql.ts';

/** Skips, parks and takes back events, in transactions that end with their checkpoint. */
export class CheckpointTransactions {
  readonly #database: Database;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#statements = {
      park: new Statement(parkEvents(schema)),
      skip: new Statement(keepSkippedByPolicy(schema)),
      unpark: new Statement(unparkEvent(schema)),
    };
  }

  /** Returns what the transaction of this manager can do with the events of a checkpoint. */
  of(held: HeldCheckpoint, manager: EntityManager): CheckpointTransaction {
    const { consumer, generation } = held;
    return {
      manager,
      park: async (positions, failure) => {
        const error = failure && describeError(failure.error);
        const values = [consumer, generation, positions, error, failure?.failures ?? 0];
        await this.#database.query(this.#statements.park, values, manager);
      },
      skip: async (position, { error, failures }) => {
        const values = [consumer, generation, position, describeError(error), failures, held.owner];
        await this.#database.query(this.#statements.skip, values, manager);
      },
      unpark: async (position) => {
        const values = [consumer, generation, position];
        const rows = await this.#database.query<{ is_last: boolean }>(
          this.#statements.unpark,
          values,
          manager,
        );
        return rows[0]?.is_last ?? false;
      },
    };
  }
}
