import type { QueryResultRow } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { eventHash, snapshotHash } from '../../evidence/chain-hash.ts';
import {
  type Alteration,
  ChainedLog,
  type ChainedEvent,
  type ChainedLogReading,
  type ChainedSnapshot,
  type LostEnd,
} from '../../evidence/chained-log.ts';
import { HashChainOffError } from '../../evidence/evidence.errors.ts';
import { ReadOnlyDatabaseError } from '../connection/errors/database.errors.ts';
import { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { EventReader } from '../store/reading/event-reader.ts';
import { chainStart } from '../schema/hash-chain.ts';
import { translateError } from '../connection/errors/translate-error.ts';
import { alterationsOf, type SchemaFact } from './released-schema.ts';
import { describeSchema } from './describe-schema.sql.ts';
import {
  lockAnchors,
  readChainedLog,
  readChainedSnapshots,
  readIsStandby,
  readLostEnds,
  readSafely,
} from './chained-log.sql.ts';

// Pages are also bounded by bytes, so that large events take little memory. Compressed events grow when
// read.
const pageRows = 1_000;
const pageBytes = 4 * 1024 * 1024;

interface ChainedRow {
  position: number;
  removed: boolean;
  aggregate_type: string | null;
  aggregate_id: string | null;
  aggregate_version: number | null;
  removed_version: number | null;
  version: number;
  previous_version: number | null;
  previous_hash: Buffer | null;
  hash: Buffer | null;
  event_id: string;
  type: string;
  revision: number;
  payload: string;
  binary_payload: Buffer | null;
  metadata: string;
  recorded_at: Buffer;
}

interface SnapshotRow {
  key: number;
  aggregate_type: string;
  aggregate_id: string;
  version: number;
  revision: number;
  state: string;
  binary: Buffer | null;
  hash: Buffer | null;
  event_hash: Buffer | null;
}

/** Reads the log of a schema together with its hash chain. */
export class PostgresChainedLog extends ChainedLog {
  readonly #database: Database;
  readonly #schema: string;
  readonly #reader: EventReader;
  readonly #page: Statement;
  readonly #snapshots: Statement;
  readonly #lostEnds: Statement;

  constructor(dataSource: DataSource, schema: string) {
    super();
    // Not prepared: a plan made for an empty table must not be used for a full one.
    this.#database = new Database(dataSource, { preparedStatements: false });
    this.#schema = schema;
    this.#reader = new EventReader(this.#database, schema);
    this.#page = new Statement(readChainedLog(schema));
    this.#snapshots = new Statement(readChainedSnapshots(schema));
    this.#lostEnds = new Statement(readLostEnds(schema));
  }

  override async read<T>(
    work: (reading: ChainedLogReading) => Promise<T>,
    { exclusive = false } = {},
  ): Promise<T> {
    // Errors of the work itself are not errors of the database, so they are not translated.
    let failure: { readonly of: unknown } | undefined;
    try {
      return await this.#database.transaction(async (manager) => {
        await manager.query(readSafely);
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
    const [server] = (await manager.query(readIsStandby)) as [{ standby: boolean }];
    if (server.standby) throw new ReadOnlyDatabaseError({ reason: standbyReason });
    const alterations = await this.#alterations(manager);
    const { position, lastPosition } = await this.#reader.horizon(manager);
    return {
      start,
      horizon: position,
      lastPosition,
      events: (after, upTo) => this.#events(manager, after, upTo),
      alterations,
      snapshots: () => this.#allSnapshots(manager),
      lostEnds: (limit) => this.#ends(manager, limit),
    };
  }

  async *#events(
    manager: EntityManager,
    after: number,
    upTo: number,
  ): AsyncGenerator<ChainedEvent> {
    for (let last = after; ;) {
      const values = [last, upTo, pageRows, pageBytes];
      const rows = await this.#database.query<ChainedRow>(this.#page, values, manager);
      if (rows.length === 0) return;
      for (const row of rows) yield toChainedEvent(row);
      last = rows.at(-1)!.position;
    }
  }

  async *#allSnapshots(manager: EntityManager): AsyncGenerator<ChainedSnapshot> {
    for (let last = 0; ;) {
      const values = [last, pageRows, pageBytes];
      const rows = await this.#database.query<SnapshotRow>(this.#snapshots, values, manager);
      if (rows.length === 0) return;
      for (const row of rows) yield toChainedSnapshot(row);
      last = rows.at(-1)!.key;
    }
  }

  async #alterations(manager: EntityManager): Promise<Alteration[]> {
    const facts = await this.#database.query<SchemaFact & QueryResultRow>(
      describedSchema,
      [this.#schema],
      manager,
    );
    return alterationsOf(this.#schema, facts);
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

const describedSchema = new Statement(describeSchema);

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
  followsHash: row.previous_hash !== null,
  hash: row.hash ?? undefined,
  expectedHash: row.removed || row.aggregate_id === null ? undefined : hashOf(row),
});

const hashOf = (row: ChainedRow): Buffer =>
  eventHash({
    previous: row.previous_hash,
    position: row.position,
    id: row.event_id,
    aggregateType: row.aggregate_type!,
    aggregateId: row.aggregate_id!,
    version: row.version,
    type: row.type,
    revision: row.revision,
    payload: row.payload,
    binary: row.binary_payload,
    metadata: row.metadata,
    recordedAt: row.recorded_at,
  });

const toChainedSnapshot = (row: SnapshotRow): ChainedSnapshot => ({
  aggregate: { type: row.aggregate_type, id: row.aggregate_id },
  version: row.version,
  hash: row.hash ?? undefined,
  expectedHash: snapshotHash({
    event: row.event_hash,
    aggregateType: row.aggregate_type,
    aggregateId: row.aggregate_id,
    version: row.version,
    revision: row.revision,
    state: row.state,
    binary: row.binary,
  }),
});

const standbyReason = 'only the primary knows which appends are in flight, so verify there';
