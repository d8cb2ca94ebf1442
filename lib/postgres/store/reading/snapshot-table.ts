import type { EntityManager } from 'typeorm';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { StoredSnapshot } from '../../../store/reading/revive-snapshot.ts';
import type { Database } from '../../connection/database.ts';
import { Statement } from '../../connection/statement.ts';
import { lockTimeout } from '../lock-timeout.sql.ts';
import { readSnapshot, writeSnapshot } from './snapshots.sql.ts';

/** Reads and writes the one snapshot in an aggregate's row. */
export class SnapshotTable {
  readonly #database: Database;
  readonly #read: Statement;
  readonly #write: Statement;
  readonly #writeAlone: Statement;

  constructor(database: Database, schema: string, lockTimeoutMs: number) {
    this.#database = database;
    this.#read = new Statement(readSnapshot(schema));
    this.#write = new Statement(writeSnapshot(schema));
    this.#writeAlone = new Statement(writeSnapshot(schema, `FROM ${lockTimeout(lockTimeoutMs)}`));
  }

  async read({ type, id }: AggregateRef, manager?: EntityManager): Promise<StoredSnapshot | null> {
    const [row] = await this.#database.read<{
      snapshot_version: number;
      snapshot_revision: number;
      snapshot_state: string;
      snapshot_binary: Buffer | null;
    }>(this.#read, [type, id], manager);
    if (!row) return null;
    return {
      version: row.snapshot_version,
      revision: row.snapshot_revision,
      state: { json: row.snapshot_state, binary: row.snapshot_binary },
    };
  }

  /**
   * Stores the snapshot unless there is a newer one. Returns the aggregate's version.
   *
   * Runs after a savepoint, because a snapshot may fail: a refused statement would otherwise abort the
   * caller's transaction, whose COMMIT would then discard everything without an error.
   */
  write(
    aggregate: AggregateRef,
    snapshot: StoredSnapshot,
    manager?: EntityManager,
  ): Promise<number> {
    if (!manager) return this.#writeRow(aggregate, snapshot);
    return this.#database.nested(manager, (inner) => this.#writeRow(aggregate, snapshot, inner));
  }

  async #writeRow(
    { type, id }: AggregateRef,
    { version, revision, state }: StoredSnapshot,
    manager?: EntityManager,
  ): Promise<number> {
    const [row] = await this.#database.query<{ version: number }>(
      manager ? this.#write : this.#writeAlone,
      [type, id, version, revision, state.json, state.binary],
      manager,
    );
    return row?.version ?? 0;
  }
}
