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

/** The records of one append inside a caller's transaction, and what to do if it is rolled back. */
interface Appended {
  readonly records: readonly EventRecord[];
  readonly scope: TransactionScope;
  readonly undo: (() => void)[];
}

/** The appends of a caller's transaction, and the records that must be reported after them. */
interface OpenTransaction {
  appended: Appended[];
  /** The lowest version that the transaction has appended, by aggregate. */
  readonly lowestVersions: Map<string, number>;
  readonly followers: EventRecord[];
}

/**
 * Reports events that are known to be stored. Events of callers' transactions wait until that is known.
 *
 * TypeORM also reports a commit for savepoints, and for a COMMIT that the server answered with a
 * rollback. When the outermost transaction has ended, this class therefore looks in the log itself, on
 * the same connection, and reports only events that exist. It looks for positions, because a position
 * is never drawn twice: an event of a rolled-back savepoint may have been appended again under its own
 * id. A transaction that is not ended through TypeORM's query runner is not noticed.
 *
 * The events of one aggregate are reported in the order of their versions. An event that followed an
 * event of an open transaction may be known to be stored before that transaction is known to have
 * ended; its report then waits.
 */
export class CallerTransactions {
  readonly #database: Database;
  readonly #statement: Statement;
  readonly #onCommitted: (records: readonly EventRecord[]) => void;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Map<QueryRunner, OpenTransaction>();
  #stopListening: (() => void) | undefined;
  /** Resolves once everything so far is reported, if some of it must be read first. */
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
      // Before the rollback, because none is reported if the connection is lost. A failed commit ends
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

  /**
   * Handles a transaction whose connection returns to the pool without an end that TypeORM has
   * reported.
   */
  readonly #onRelease = (): void => {
    for (const queryRunner of this.#open.keys()) {
      if (!queryRunner.isReleased) continue;
      // It is unknown what the transaction has stored; appended again with the same ids, it is stored
      // once.
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
   * Returns the scope of a call that is made now, even if its turn comes much later.
   *
   * @throws TransactionRequiredError if the manager has no transaction open.
   */
  join(manager: EntityManager): JoinedTransaction {
    return { manager, scope: this.#database.scopeOf(manager) };
  }

  /** Keeps the records of an append until the transaction has ended. */
  remember({ manager, scope }: JoinedTransaction, records: readonly EventRecord[]): void {
    if (records.length === 0) return;
    // The append was not awaited, and was rolled back before its answer arrived.
    if (!scope.isOpen) return records.forEach(({ event }) => forgetRecord(event));
    // TypeORM reports the end of the original query runner, not of its stand-in.
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
    // The append was not awaited, and its transaction has ended meanwhile.
    else if (recordOf(first.event) === undefined) undo();
  }

  /**
   * Reports records that have committed, after those of the same aggregates with lower versions.
   *
   * Call it in the order in which appends are settled. Records that still have to be read delay the
   * reports after them; if they cannot be read, they are not reported. Only then does it return a
   * promise.
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
        // No spread: an append may have more events than a call can take as arguments.
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
    // Also if nothing is certain: appended again with the same ids, the events are found to be stored.
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

  /** Reports the stored events of a transaction, and then the records that have waited for it. */
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
