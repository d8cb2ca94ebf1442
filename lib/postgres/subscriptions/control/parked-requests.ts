import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { ParkedAggregate } from '../../../subscriptions/consumer-state.ts';
import type { SkipOptions } from '../../../subscriptions/skip-options.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';
import { discardParked, lockParked, readParked, retryParked } from '../parked-events.sql.ts';

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

/** The requests of an operator about parked events. */
export class ParkedRequests {
  readonly #database: Database;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#statements = {
      read: new Statement(readParked(schema)),
      retry: new Statement(retryParked(schema)),
      lock: new Statement(lockParked(schema)),
      discard: new Statement(discardParked(schema)),
    };
  }

  /** Returns the parked aggregates of a consumer, ordered by the position of the event that failed. */
  async of(consumer: string): Promise<readonly ParkedAggregate[]> {
    const rows = await this.#database.read<ParkedRow>(this.#statements.read, [consumer]);
    return rows.map((row) => ({
      aggregate: { type: row.type, id: row.id },
      position: row.position,
      eventId: row.event_id,
      events: row.events,
      failure: {
        message: row.error,
        position: row.position,
        failures: row.failures,
        at: timeOf(row.failed_at),
      },
      retrying: row.retrying,
    }));
  }

  /** Requests a retry of the parked events of one aggregate, or of all; returns their number. */
  async retry(consumer: string, aggregate?: AggregateRef): Promise<number> {
    const values = [consumer, aggregate?.type, aggregate?.id];
    return (await this.#database.query(this.#statements.retry, values)).length;
  }

  /** Discards the event at a position; returns whether there was one. */
  async discard(consumer: string, position: number, { reason, by }: SkipOptions): Promise<boolean> {
    const values = [consumer, position];
    return this.#database.transaction(async (manager) => {
      // A separate statement: only a statement that begins after the wait sees what was parked
      // meanwhile.
      await this.#database.query(this.#statements.lock, values, manager);
      return (
        (await this.#database.query(this.#statements.discard, [...values, reason, by], manager))
          .length > 0
      );
    });
  }
}
