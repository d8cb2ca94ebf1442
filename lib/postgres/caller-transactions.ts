import type { EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { EventRecord } from '../events/event-record.ts';
import { aggregateKey } from './append-call.ts';
import { type Database, Statement } from './database.ts';
import { originalOf } from './revocable-manager.ts';

/** What a caller's transaction has appended, and what waits for it to be reported first. */
interface OpenTransaction {
  readonly appended: EventRecord[];
  /** By aggregate, the lowest version that it has appended. */
  readonly lowestVersions: Map<string, number>;
  readonly followers: EventRecord[];
}

/**
 * Reports the events that are known to be stored, and waits with those of callers' transactions
 * until that is known.
 *
 * TypeORM reports a commit for savepoints too, and for a COMMIT that the server answered with a
 * rollback. So when the outermost transaction has ended, the log itself is asked, on the same
 * connection: only the events that are there are reported. Asked for by position, for it is never
 * drawn twice: an event of a savepoint that was rolled back may have been appended again, under its
 * own id. A transaction that is not ended through TypeORM's query runner is not noticed.
 *
 * The events of one aggregate are reported in the order of their versions. One that followed an event
 * of a transaction may be known to be stored before the end of that transaction is: it waits for it.
 */
export class CallerTransactions {
  readonly #database: Database;
  readonly #statement: Statement;
  readonly #onCommitted: (records: readonly EventRecord[]) => void;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Map<QueryRunner, OpenTransaction>();
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
      afterTransactionCommit: ({ queryRunner }) => this.#afterCommit(queryRunner),
      afterTransactionRollback: ({ queryRunner }) => {
        if (!queryRunner.isTransactionActive) this.#settle(queryRunner, []);
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
    // TypeORM tells of the end of the query runner itself, not of one that stands in for it.
    const original = originalOf(queryRunner);
    const open = this.#open.get(original) ?? {
      appended: [],
      lowestVersions: new Map<string, number>(),
      followers: [],
    };
    this.#open.set(original, open);
    open.appended.push(...records);
    for (const { aggregate, version } of records) {
      const key = aggregateKey(aggregate);
      open.lowestVersions.set(key, Math.min(version, open.lowestVersions.get(key) ?? version));
    }
  }

  /** Reports records that have committed, behind those of the same aggregates with lower versions. */
  report(records: readonly EventRecord[]): void {
    for (const [queryRunner, { lowestVersions, followers }] of this.#open) {
      if (queryRunner.isReleased) this.#settle(queryRunner, []);
      else if (records.some((record) => follows(record, lowestVersions))) {
        followers.push(...records);
        return;
      }
    }
    if (records.length > 0) this.#onCommitted(records);
  }

  /** Never throws: the caller's transaction has committed, whatever happens here. */
  async #afterCommit(queryRunner: QueryRunner): Promise<void> {
    const open = this.#open.get(queryRunner);
    if (!open || queryRunner.isTransactionActive) return;
    const positions = open.appended.map((record) => record.position);
    let stored = new Set<number>();
    try {
      const rows = await this.#database.queryOn<{ position: number }>(
        queryRunner,
        this.#statement,
        [positions],
      );
      stored = new Set(rows.map((row) => row.position));
    } catch (error) {
      this.#onError(error);
    }
    const committed = open.appended.filter((record) => stored.has(record.position));
    this.#settle(queryRunner, committed);
  }

  /** Reports what a transaction has stored, and then what has waited for it. */
  #settle(queryRunner: QueryRunner, committed: readonly EventRecord[]): void {
    const open = this.#open.get(queryRunner);
    if (!open) return;
    this.#open.delete(queryRunner);
    this.report(inOrder(committed));
    this.report(inOrder(open.followers));
  }
}

function follows(record: EventRecord, lowestVersions: ReadonlyMap<string, number>): boolean {
  return record.version > (lowestVersions.get(aggregateKey(record.aggregate)) ?? Infinity);
}

const inOrder = (records: readonly EventRecord[]): EventRecord[] =>
  records.toSorted((a, b) => a.position - b.position);
