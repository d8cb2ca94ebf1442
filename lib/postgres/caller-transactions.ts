import type { EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { EventRecord } from '../events/event-record.ts';
import { type Database, Statement } from './database.ts';

/**
 * Remembers what was appended inside callers' transactions, and tells once it is known to be stored.
 *
 * TypeORM reports a commit for savepoints too, and for a COMMIT that the server answered with a
 * rollback. So when the outermost transaction has ended, the log itself is asked, on the same
 * connection: only the events that are there are reported, in the order of their positions. Asked
 * for by position, for it is never drawn twice: an event of a savepoint that was rolled back may have
 * been appended again, under its own id.
 * A transaction that is not ended through TypeORM's query runner is not noticed.
 */
export class CallerTransactions {
  readonly #database: Database;
  readonly #statement: Statement;
  readonly #onCommitted: (records: readonly EventRecord[]) => void;
  readonly #onError: (error: unknown) => void;
  readonly #appended = new WeakMap<QueryRunner, EventRecord[]>();
  readonly #subscriber: EntitySubscriberInterface;

  constructor(
    database: Database,
    schema: string,
    onCommitted: (records: readonly EventRecord[]) => void,
    onError: (error: unknown) => void,
  ) {
    this.#database = database;
    this.#statement = new Statement(
      `SELECT position FROM "${schema}".domain_events WHERE position = ANY ($1::bigint[])`,
    );
    this.#onCommitted = onCommitted;
    this.#onError = onError;
    this.#subscriber = {
      afterTransactionCommit: ({ queryRunner }) => this.#reportStored(queryRunner),
      afterTransactionRollback: ({ queryRunner }) => {
        if (!queryRunner.isTransactionActive) this.#appended.delete(queryRunner);
      },
    };
    database.dataSource.subscribers.push(this.#subscriber);
  }

  /** Stops listening to the data source, which may outlive the store. */
  close(): void {
    const { subscribers } = this.#database.dataSource;
    const index = subscribers.indexOf(this.#subscriber);
    if (index >= 0) subscribers.splice(index, 1);
  }

  /** Keeps the records until the manager's transaction has ended. */
  remember({ queryRunner }: EntityManager, records: readonly EventRecord[]): void {
    if (!queryRunner || records.length === 0) return;
    const appended = this.#appended.get(queryRunner);
    if (appended) appended.push(...records);
    else this.#appended.set(queryRunner, [...records]);
  }

  /** Never throws: the caller's transaction has committed, whatever happens here. */
  async #reportStored(queryRunner: QueryRunner): Promise<void> {
    if (queryRunner.isTransactionActive) return;
    const records = this.#appended.get(queryRunner);
    if (!records) return;
    this.#appended.delete(queryRunner);
    try {
      const rows = await this.#database.queryOn<{ position: number }>(
        queryRunner,
        this.#statement,
        [records.map((record) => record.position)],
      );
      const stored = new Set(rows.map((row) => row.position));
      this.#onCommitted(
        records
          .filter((record) => stored.has(record.position))
          .sort((a, b) => a.position - b.position),
      );
    } catch (error) {
      this.#onError(error);
    }
  }
}
