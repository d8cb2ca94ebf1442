import type { SkippedEvent } from '../../subscriptions/consumer-state.ts';
import type { SkipOptions } from '../../subscriptions/skip-options.ts';
import { ConsumerStateError } from '../../subscriptions/subscriptions.errors.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { ConsumerChanges } from './control/locked-consumer.ts';
import { timeOf } from '../schema/fragments/microseconds.sql.ts';
import { keepSkipped, lockStopped, passStopped, readSkipped } from './skipped-events.sql.ts';

interface SkippedRow {
  generation: number;
  position: number;
  event_id: string;
  type: string;
  id: string;
  cause: SkippedEvent['cause'];
  reason: string;
  error: string | null;
  failures: number;
  skipped_by: string;
  skipped_at: number;
}

interface StoppedRow {
  error: string | null;
  error_position: number | null;
}

/** The events that consumers have skipped for good. */
export class SkippedEvents {
  readonly #database: Database;
  readonly #changes: ConsumerChanges;
  readonly #statements;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#changes = new ConsumerChanges(database, schema);
    this.#statements = {
      read: new Statement(readSkipped(schema)),
      stopped: new Statement(lockStopped(schema)),
      keep: new Statement(keepSkipped(schema)),
      pass: new Statement(passStopped(schema)),
    };
  }

  /** Returns the skipped events of one consumer, the last one first. */
  async of(consumer: string, limit: number): Promise<readonly SkippedEvent[]> {
    const values = [consumer, limit];
    const rows = await this.#database.query<SkippedRow>(this.#statements.read, values);
    return rows.map((row) => ({
      generation: row.generation,
      position: row.position,
      eventId: row.event_id,
      aggregate: { type: row.type, id: row.id },
      cause: row.cause,
      reason: row.reason,
      error: row.error,
      failures: row.failures,
      by: row.skipped_by,
      at: timeOf(row.skipped_at),
    }));
  }

  /** Skips the event at which a consumer has stopped, and starts the consumer again. */
  async skip(name: string, position: number, { reason, by }: SkipOptions): Promise<void> {
    await this.#changes.change(name, async (consumer) => {
      const stopped = await consumer.query<StoppedRow>(this.#statements.stopped, [name]);
      if (!stopped.some((each) => each.error_position === position)) {
        throw new ConsumerStateError(name, whyNotAt(position, stopped, name));
      }
      const values = [name, position];
      const kept = await consumer.query(this.#statements.keep, [...values, reason, by]);
      if (kept.length === 0) {
        throw new ConsumerStateError(
          name,
          `has stopped at position ${position}, and the log no longer has that event there. Call ` +
            `resume('${name}').`,
        );
      }
      await consumer.query(this.#statements.pass, values);
    });
  }
}

function whyNotAt(position: number, stopped: readonly StoppedRow[], name: string): string {
  if (stopped.length === 0) return 'has not stopped, so there is no event to skip.';
  const positions = stopped.flatMap((each) => each.error_position ?? []);
  if (positions.length === 0) {
    return `has stopped, but no event is to blame: ${stopped[0]!.error}. See its error in list().`;
  }
  return (
    `has stopped at position ${positions.join(' and ')}, not at ${position}. Call ` +
    `skip('${name}', ${positions[0]}) if that event is to be left out.`
  );
}
