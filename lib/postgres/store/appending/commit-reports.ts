import type { EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { type EventRecord, forgetRecord, recordOf } from '../../../events/event-record.ts';
import { aggregateKey } from './append-call.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { originalOf } from '../../connection/transactions/revocable-manager.ts';
import type {
  JoinedTransaction,
  TransactionScope,
} from '../../connection/transactions/transaction-scopes.ts';

/** What one append inside a caller's transaction has written, and what to do if that is taken back. */
interface Appended {
  readonly records: readonly EventRecord[];
  readonly scope: TransactionScope;
  readonly undo: (() => void)[];
}

/** What a caller's transaction has appended, and what waits for it to be reported first. */
interface OpenTransaction {
  appended: Appended[];
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
  #stopListening: (() => void) | undefined;
  /** Resolves once everything is reported so far, if some of it has to be read first. */
  #reading: Promise<void> | undefined;
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
    const { scopes } = database;
    this.#subscriber = {
      afterTransactionStart: ({ queryRunner }) => scopes.started(queryRunner),
      afterTransactionCommit: ({ queryRunner }) =>
        queryRunner.isTransactionActive ? undefined : this.#afterCommit(queryRunner),
      // Before, because no ROLLBACK is heard of where the connection is lost. A commit that failed comes
      // here as well.
      beforeTransactionRollback: ({ queryRunner }) => {
        scopes.rollingBack(queryRunner);
        this.#takeBack(queryRunner, ({ scope }) => !scope.isOpen);
      },
      afterTransactionRollback: ({ queryRunner }) => {
        if (!queryRunner.isTransactionActive) this.#settle(queryRunner, []);
      },
    };
    database.dataSource.subscribers.push(this.#subscriber);
  }

  /** A transaction whose connection goes back to the pool was not ended, or not through TypeORM. */
  readonly #onRelease = (): void => {
    for (const queryRunner of this.#open.keys()) {
      if (!queryRunner.isReleased) continue;
      // What it has written is not known: appended again with its ids, it is stored once.
      this.#takeBack(queryRunner, () => true);
      this.#settle(queryRunner, []);
    }
  };

  /** Stops listening to the data source, which may outlive the store. */
  close(): void {
    this.#stopListening?.();
    const { subscribers } = this.#database.dataSource;
    const index = subscribers.indexOf(this.#subscriber);
    if (index >= 0) subscribers.splice(index, 1);
  }

  /**
   * Returns what a call belongs to that is made now, however long its turn is in coming.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   */
  join(manager: EntityManager): JoinedTransaction {
    return { manager, scope: this.#database.scopeOf(manager) };
  }

  /** Keeps the records of an append until the transaction has ended. */
  remember({ manager, scope }: JoinedTransaction, records: readonly EventRecord[]): void {
    if (records.length === 0) return;
    // Rolled back while the answer was on its way: the append was not awaited.
    if (!scope.isOpen) return records.forEach(({ event }) => forgetRecord(event));
    // TypeORM reports the end of the query runner itself, not of its stand-in.
    const original = originalOf(manager.queryRunner!);
    const open = this.#open.get(original) ?? {
      appended: [],
      lowestVersions: new Map<string, number>(),
      followers: [],
    };
    this.#open.set(original, open);
    this.#stopListening ??= this.#database.connections.onRelease(this.#onRelease);
    open.appended.push({ records, scope, undo: [] });
    for (const { aggregate, version } of records) {
      const key = aggregateKey(aggregate);
      open.lowestVersions.set(key, Math.min(version, open.lowestVersions.get(key) ?? version));
    }
  }

  /** Calls `undo` when the append of these records is rolled back with the manager's transaction. */
  onRollback(
    { queryRunner }: EntityManager,
    records: readonly EventRecord[],
    undo: () => void,
  ): void {
    const [first] = records;
    if (!queryRunner || !first) return;
    const appended = this.#open
      .get(originalOf(queryRunner))
      ?.appended.find((each) => each.records.some(({ position }) => position === first.position));
    if (appended) appended.undo.push(undo);
    // The append was not awaited: its transaction has ended meanwhile.
    else if (recordOf(first.event) === undefined) undo();
  }

  /**
   * Reports records that have committed, after those of the same aggregates with lower versions.
   *
   * Calls come in the order in which appends are settled. Records that still have to be read hold up what
   * is reported after them; if they cannot be read, there are none. The answer is a promise only then.
   */
  report(
    records: readonly EventRecord[] | Promise<readonly EventRecord[]>,
  ): Promise<void> | undefined {
    if (!this.#reading && !(records instanceof Promise)) {
      this.#report(records);
      return undefined;
    }
    const reading = this.#reportLater(records, this.#reading).finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #reportLater(
    records: readonly EventRecord[] | Promise<readonly EventRecord[]>,
    former: Promise<void> | undefined,
  ): Promise<void> {
    const [read] = await Promise.allSettled([records, former]);
    if (read.status === 'fulfilled') this.#report(read.value);
  }

  #report(records: readonly EventRecord[]): void {
    for (const { lowestVersions, followers } of this.#open.values()) {
      if (records.some((record) => follows(record, lowestVersions))) {
        // Not spread: an append may have more events than a call may have arguments.
        for (const record of records) followers.push(record);
        return;
      }
    }
    this.#onCommitted(records);
  }

  /** Never throws: the caller's transaction has committed, whatever happens here. */
  async #afterCommit(queryRunner: QueryRunner): Promise<void> {
    const open = this.#open.get(queryRunner);
    if (!open) return;
    const appended = open.appended.flatMap(({ records }) => records);
    const positions = appended.map((record) => record.position);
    const stored = new Set<number>();
    try {
      const rows = await this.#database.queryOn<{ position: number }>(
        queryRunner,
        this.#statement,
        [positions],
      );
      for (const { position } of rows) stored.add(position);
    } catch (error) {
      this.#onError(error);
    }
    // Also where nothing is certain: appended once more with the same ids, it is found to be stored.
    this.#takeBack(queryRunner, ({ records }) => !stored.has(records[0]!.position));
    this.#settle(
      queryRunner,
      appended.filter((record) => stored.has(record.position)),
    );
  }

  /** Undoes appends that were rolled back, the last one first. */
  #takeBack(queryRunner: QueryRunner, isRolledBack: (appended: Appended) => boolean): void {
    const open = this.#open.get(queryRunner);
    if (!open) return;
    for (const appended of open.appended.filter(isRolledBack).toReversed()) {
      for (const { event } of appended.records) forgetRecord(event);
      for (const undo of appended.undo.toReversed()) undo();
    }
    open.appended = open.appended.filter((each) => !isRolledBack(each));
  }

  /** Reports what a transaction has stored, and then what has waited for it. */
  #settle(queryRunner: QueryRunner, committed: readonly EventRecord[]): void {
    const open = this.#open.get(queryRunner);
    if (!open) return;
    this.#open.delete(queryRunner);
    void this.report(inOrder(committed));
    void this.report(inOrder(open.followers));
  }
}

function follows(record: EventRecord, lowestVersions: ReadonlyMap<string, number>): boolean {
  return record.version > (lowestVersions.get(aggregateKey(record.aggregate)) ?? Infinity);
}

const inOrder = (records: readonly EventRecord[]): EventRecord[] =>
  records.toSorted((a, b) => a.position - b.position);
