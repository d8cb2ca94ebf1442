import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { CheckpointKey, Failure } from '../../subscriptions/checkpoint-store.ts';
import { type ParkedEvent, ParkedEvents } from '../../subscriptions/parked-events.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { describeError } from './describe-error.ts';
import {
  keepParked,
  readIsToRetry,
  readParkedAggregates,
  readParkedToRetry,
} from './parked-events.sql.ts';

/** Keeps the parked events in the store's schema. */
export class PostgresParkedEvents extends ParkedEvents {
  readonly #database: Database;
  readonly #statements;

  constructor(database: Database, schema: string) {
    super();
    this.#database = database;
    this.#statements = {
      aggregates: new Statement(readParkedAggregates(schema)),
      toRetry: new Statement(readParkedToRetry(schema)),
      isToRetry: new Statement(readIsToRetry(schema)),
      keep: new Statement(keepParked(schema)),
    };
  }

  async aggregates({ consumer, generation }: CheckpointKey): Promise<AggregateRef[]> {
    const values = [consumer, generation];
    return this.#database.query<{ type: string; id: string }>(this.#statements.aggregates, values);
  }

  async toRetry({ consumer, generation }: CheckpointKey): Promise<ParkedEvent[]> {
    const rows = await this.#database.query<{
      position: number;
      type: string;
      id: string;
      failures: number;
    }>(this.#statements.toRetry, [consumer, generation]);
    return rows.map(({ position, type, id, failures }) => ({
      position,
      aggregate: { type, id },
      failures,
    }));
  }

  async isToRetry({ consumer, generation }: CheckpointKey, position: number): Promise<boolean> {
    const values = [consumer, generation, position];
    return (await this.#database.query(this.#statements.isToRetry, values)).length > 0;
  }

  async keep(key: CheckpointKey, event: ParkedEvent, failure: Failure): Promise<void> {
    const { type, id } = event.aggregate;
    await this.#database.query(this.#statements.keep, [
      key.consumer,
      key.generation,
      type,
      id,
      event.position,
      describeError(failure.error),
      failure.failures,
    ]);
  }
}
