import type { DataSource, EntityManager } from 'typeorm';
import {
  ChainedLog,
  type ChainedEvent,
  type ChainedLogReading,
  type LostEnd,
} from '../evidence/chained-log.ts';
import { HashChainOffError } from '../evidence/evidence.errors.ts';
import { Database, Statement } from './database.ts';
import { EventReader } from './event-reader.ts';
import { chainStart } from './hash-chain.ts';
import { translateError } from './postgres-errors.ts';
import { lockAnchors, planAlongIndexes, readChainedLog, readLostEnds } from './sql/chained-log.ts';
import { readEnd } from './sql/read-log.ts';

const pageSize = 1_000;

interface ChainedRow {
  position: number;
  removed: boolean;
  aggregate_type: string | null;
  aggregate_id: string | null;
  aggregate_version: number | null;
  removed_version: number | null;
  version: number;
  previous_version: number | null;
  follows_hash: boolean | null;
  hash: Buffer | null;
  expected: Buffer | null;
}

/** Reads the log of a schema together with its hash chain. */
export class PostgresChainedLog extends ChainedLog {
  readonly #database: Database;
  readonly #schema: string;
  readonly #reader: EventReader;
  readonly #end: Statement;
  readonly #page: Statement;
  readonly #lostEnds: Statement;

  constructor(dataSource: DataSource, schema: string) {
    super();
    // Not prepared: a plan that was made for an empty table must not be used for a full one.
    this.#database = new Database(dataSource, { preparedStatements: false });
    this.#schema = schema;
    this.#reader = new EventReader(this.#database, schema);
    this.#end = new Statement(readEnd(schema));
    this.#page = new Statement(readChainedLog(schema));
    this.#lostEnds = new Statement(readLostEnds(schema));
  }

  override async read<T>(
    work: (reading: ChainedLogReading) => Promise<T>,
    { exclusive = false } = {},
  ): Promise<T> {
    // An error of the work itself is not one of the database.
    let failure: { readonly of: unknown } | undefined;
    try {
      return await this.#database.transaction(async (manager) => {
        if (exclusive) await manager.query(lockAnchors(this.#schema));
        const reading = await this.#open(manager);
        return work(reading).catch((error: unknown) => {
          failure = { of: error };
          throw error;
        });
      });
    } catch (error) {
      throw failure ? failure.of : translateError(error);
    }
  }

  async #open(manager: EntityManager): Promise<ChainedLogReading> {
    const start = await chainStart(manager, this.#schema);
    if (start === undefined) throw new HashChainOffError(this.#schema);
    // Refused on a standby, which knows of no append in flight.
    await this.#database.query(this.#end, [], manager);
    const { position, lastPosition } = await this.#reader.horizon(manager);
    await manager.query(planAlongIndexes);
    return {
      start,
      horizon: position,
      lastPosition,
      events: (after, upTo) => this.#events(manager, after, upTo),
      lostEnds: (limit) => this.#ends(manager, limit),
    };
  }

  async *#events(
    manager: EntityManager,
    after: number,
    upTo: number,
  ): AsyncGenerator<ChainedEvent> {
    for (let last = after; last < upTo;) {
      const rows = await this.#database.query<ChainedRow>(
        this.#page,
        [last, upTo, pageSize],
        manager,
      );
      for (const row of rows) yield toChainedEvent(row);
      last = rows.length < pageSize ? upTo : rows.at(-1)!.position;
    }
  }

  async #ends(manager: EntityManager, limit: number): Promise<LostEnd[]> {
    const rows = await this.#database.query<{
      type: string;
      id: string;
      version: number;
      last_version: number;
    }>(this.#lostEnds, [limit], manager);
    return rows.map(({ type, id, version, last_version }) => ({
      aggregate: { type, id },
      version,
      lastVersion: last_version,
    }));
  }
}

const toChainedEvent = (row: ChainedRow): ChainedEvent => ({
  position: row.position,
  version: row.version,
  isRemoved: row.removed,
  aggregate:
    row.aggregate_id === null
      ? undefined
      : {
          type: row.aggregate_type!,
          id: row.aggregate_id,
          version: row.aggregate_version!,
          removedVersion: row.removed_version!,
        },
  previousVersion: row.previous_version ?? 0,
  followsHash: row.follows_hash ?? false,
  hash: row.hash ?? undefined,
  expectedHash: row.expected ?? undefined,
});
