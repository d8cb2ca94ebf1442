import type { DataSource, EntityManager } from 'typeorm';
import type { EventRecord } from '../../events/event-record.ts';
import type { AggregateRef } from '../../store/aggregate-ref.ts';
import type { AppendListener, AppendResult } from '../../store/appending/append.ts';
import type { PreparedCall } from '../../store/appending/prepare-append.ts';
import type {
  AggregateRange,
  EventStorage,
  HistoryStart,
  LogRange,
  StorageTransactions,
  StoredAggregate,
  StoredHistory,
  StoredLogPage,
} from '../../store/event-storage.ts';
import type { LogHorizon } from '../../store/reading/log-horizon.ts';
import type { LogMark } from '../../store/reading/log-place.ts';
import type { StoredSnapshot } from '../../store/reading/revive-snapshot.ts';
import type { TransactionOptions } from '../../store/transaction-options.ts';
import type { Consumer } from '../../subscriptions/consumer.ts';
import { Database } from '../connection/database.ts';
import { DurabilityUncertainError } from '../connection/errors/database.errors.ts';
import {
  translated,
  translateError,
  translateReadError,
} from '../connection/errors/translate-error.ts';
import { Statement } from '../connection/statement.ts';
import { repeatedTransaction } from '../connection/transactions/repeated-transaction.ts';
import { InlineProjections } from '../projections/inline-projections.ts';
import { durableCommit } from '../schema/fragments/durable-commit.sql.ts';
import { AppendCall } from './appending/append-call.ts';
import { AppendQueue } from './appending/append-queue.ts';
import { AppendResults } from './appending/append-results.ts';
import { Appender } from './appending/appender.ts';
import { CallerTransactions } from './appending/commit-reports.ts';
import { lockTimeout } from './lock-timeout.sql.ts';
import { EventReader } from './reading/event-reader.ts';
import { SnapshotTable } from './reading/snapshot-table.ts';

export interface PostgresEventStorageOptions {
  readonly schema: string;
  readonly maxQueuedAppends: number;
  readonly lockTimeoutMs: number;
  readonly preparedStatements: boolean;
  /** Called for failures that must not fail a call. */
  readonly onWarning: (message: string, error?: unknown) => void;
}

/** Keeps events in PostgreSQL: it appends through a function of its schema, and reads by statements. */
export class PostgresEventStorage implements EventStorage {
  readonly transactions: StorageTransactions;
  readonly #database: Database;
  readonly #reader: EventReader;
  readonly #snapshots: SnapshotTable;
  readonly #lockTimeoutMs: number;
  readonly #remove: Statement;
  readonly #removeAlone: Statement;
  readonly #callerTransactions: CallerTransactions;
  readonly #appender: Appender;
  readonly #inline: InlineProjections;
  #listener: AppendListener = () => undefined;

  constructor(dataSource: DataSource, options: PostgresEventStorageOptions) {
    const { schema, lockTimeoutMs, onWarning } = options;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#database = new Database(dataSource, options);
    this.#reader = new EventReader(this.#database, schema);
    this.#snapshots = new SnapshotTable(this.#database, schema, lockTimeoutMs);
    const remove = `SELECT "${schema}".remove_events($1, $2) AS removed`;
    this.#remove = new Statement(remove);
    const from = `${durableCommit}, ${lockTimeout(lockTimeoutMs)}`;
    this.#removeAlone = new Statement(`${remove} FROM ${from}`);
    this.#callerTransactions = new CallerTransactions(
      this.#database,
      schema,
      (records) => this.#listener(records),
      (error) =>
        onWarning('Events of a transaction that has committed could not be reported.', error),
    );
    this.transactions = {
      run: <T>(
        work: (manager: EntityManager) => Promise<T>,
        run: Required<TransactionOptions>,
      ): Promise<T> => repeatedTransaction(this.#database, work, run),
      onRollback: (manager: EntityManager, records: readonly EventRecord[], undo: () => void) =>
        this.#callerTransactions.onRollback(manager, records, undo),
    };
    this.#inline = new InlineProjections(this.#database, schema);
    const call = new AppendCall(this.#database, schema);
    // Each lane waits with a connection of its own; most of the pool stays free for other appends.
    const maxLanes = Math.max(1, Math.floor(this.#database.connections.poolSize / 3));
    this.#appender = new Appender(
      call,
      new AppendQueue(call, { ...options, maxLanes }),
      new AppendResults(this.#reader),
      this.#callerTransactions,
      this.#inline,
      options,
    );
  }

  append(call: PreparedCall, manager?: EntityManager): Promise<readonly AppendResult[]> {
    return this.#appender.append(call, manager);
  }

  reportTo(listener: AppendListener): void {
    this.#listener = listener;
  }

  readLog(range: LogRange): Promise<StoredLogPage> {
    return reading(this.#reader.log(range));
  }

  holds(mark: LogMark): Promise<boolean> {
    return reading(this.#reader.holds(mark));
  }

  horizon(manager?: EntityManager): Promise<LogHorizon> {
    return reading(this.#reader.horizon(manager));
  }

  readAggregate(aggregate: AggregateRef, range: AggregateRange): Promise<StoredAggregate> {
    return reading(this.#reader.aggregatePage(aggregate, range));
  }

  readHistory(
    aggregate: AggregateRef,
    from: HistoryStart,
    manager?: EntityManager,
  ): Promise<StoredHistory> {
    return reading(
      'after' in from
        ? this.#reader.historyAfter(aggregate, from.after, manager)
        : this.#reader.history(aggregate, from.revision, manager),
    );
  }

  readSnapshot(aggregate: AggregateRef, manager?: EntityManager): Promise<StoredSnapshot | null> {
    return reading(this.#snapshots.read(aggregate, manager));
  }

  writeSnapshot(
    aggregate: AggregateRef,
    snapshot: StoredSnapshot,
    manager?: EntityManager,
  ): Promise<number> {
    return this.#changing(aggregate, this.#snapshots.write(aggregate, snapshot, manager), manager);
  }

  async removeEvents(aggregate: AggregateRef, manager?: EntityManager): Promise<number> {
    const removing = this.#database.commit<{ removed: number }>(
      manager ? this.#remove : this.#removeAlone,
      [aggregate.type, aggregate.id],
      manager,
    );
    const { value: rows, isReplicated } = await this.#changing(aggregate, removing, manager);
    if (!isReplicated) throw new DurabilityUncertainError([aggregate]);
    return rows[0]!.removed;
  }

  /** Settles as the work does; an error of it names the aggregate. */
  #changing<T>(aggregate: AggregateRef, work: Promise<T>, manager?: EntityManager): Promise<T> {
    const lockTimeoutMs = manager ? undefined : this.#lockTimeoutMs;
    return translated(work, (error) =>
      translateError(error, { aggregates: [aggregate], events: [], lockTimeoutMs }),
    );
  }

  /** Makes every append from now on apply these projections in its transaction. */
  applyInline(projections: readonly Consumer[]): void {
    this.#inline.use(projections);
  }

  /** Resolves once all appends accepted so far are settled. */
  async drain(): Promise<void> {
    await this.#appender.drain();
  }

  /** Accepts no more appends, and resolves once all calls that have begun are settled. */
  async close(): Promise<void> {
    await this.#appender.close();
    await this.#database.close();
    this.#callerTransactions.close();
  }
}

const reading = <T>(work: Promise<T>): Promise<T> => translated(work, translateReadError);
