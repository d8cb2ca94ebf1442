import type { Client, ClientConfig, Pool, PoolClient } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import {
  isIdle,
  isInTransaction,
  keepQuiet,
  transactionStatus,
  untilReady,
  watchStatus,
} from './connection-state.ts';
import { noteUnsent } from './errors/failure-kind.ts';
import { probeIdle } from './pool-probe.ts';
import { Statement } from './statement.ts';
import { close, type StatementSender } from './statement-sender.ts';

/**
 * Takes connections from TypeORM's pool that no other code uses.
 *
 * The pool belongs to the application, which may have left a connection with an open transaction whose
 * ROLLBACK was never sent, or with a statement that still runs. What the store did on it would look
 * committed and vanish with that transaction. A connection is therefore used only if the server last
 * reported it as idle, and is closed otherwise.
 */
export class IdleConnections {
  readonly #dataSource: DataSource;
  readonly #sender: StatementSender;
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(
    dataSource: DataSource,
    sender: StatementSender,
    onWarning?: (message: string) => void,
  ) {
    this.#dataSource = dataSource;
    this.#sender = sender;
    this.#onWarning = onWarning;
  }

  get #pool(): Pool | undefined {
    const pool = (this.#dataSource.driver as unknown as { master?: Pool }).master;
    if (pool && !guardedPools.has(pool)) {
      guardedPools.add(pool);
      // Listens at once, because the pool may hand out a connection at any moment.
      pool.on('connect', (client) => {
        keepQuiet(client);
        watchStatus(client, 'I');
      });
    }
    return pool;
  }

  /** Calls `listener` whenever a connection goes back to the pool; returns how to stop that. */
  onRelease(listener: () => void): () => void {
    const pool = this.#pool;
    pool?.on('release', listener);
    return () => pool?.off('release', listener);
  }

  /** The most connections that the pool may have; the driver's default while there is no pool yet. */
  get poolSize(): number {
    return this.#pool?.options.max ?? 10;
  }

  /** Makes a connection outside of the pool, to the same database. */
  newClient(options: ClientConfig): Client {
    const pool = this.#pool as
      (Pool & { Client: new (config: ClientConfig) => Client }) | undefined;
    if (!pool) throw new Error('the data source is not initialized');
    const client = new pool.Client({ ...(pool.options as ClientConfig), ...options });
    watchStatus(client);
    return client;
  }

  /** Checks in the background whether the idle connections of the pool still lead to the server. */
  probe(): void {
    probeIdle(this.#pool);
  }

  async client(): Promise<PoolClient> {
    // This loop ends: a closed connection makes room for a new one, which no other code uses.
    for (;;) {
      const client = await connect(this.#pool);
      if (await this.#isUnused(client)) return client;
      client.release(true);
    }
  }

  async queryRunner(): Promise<{ queryRunner: QueryRunner; client: PoolClient }> {
    for (;;) {
      const queryRunner = this.#dataSource.createQueryRunner();
      const client = await clientOf(queryRunner).catch((error: unknown) => {
        noteUnsent(error);
        throw error;
      });
      if (await this.#isUnused(client)) return { queryRunner, client };
      close(client);
      await queryRunner.release();
    }
  }

  async #isUnused(client: PoolClient): Promise<boolean> {
    // Its status is unknown: it is older than the store, and this driver does not report its status.
    if (transactionStatus(client) === undefined) {
      watchStatus(client);
      await this.#sender
        .run(client, new Statement('SELECT', { prepared: false }), [])
        .catch(ignore);
    }
    await untilReady(client);
    if (isIdle(client)) return true;
    this.#onWarning?.(
      isInTransaction(client)
        ? 'A connection from the pool was inside a transaction that was never ended; it was closed, ' +
            'and the transaction is rolled back. Look for a ROLLBACK that timed out (query_timeout), ' +
            'or for code that sends BEGIN and releases the connection without COMMIT or ROLLBACK.'
        : 'A connection from the pool was still running a statement of other code; it was closed. ' +
            'Look for statements that take longer than query_timeout, or that are not awaited.',
    );
    return false;
  }
}

function connect(pool: Pool | undefined): Promise<PoolClient> {
  return new Promise((resolve, reject) => {
    if (!pool) {
      const reason = new Error('The data source is not initialized.');
      noteUnsent(reason);
      reject(reason);
      return;
    }
    pool.connect((error, client) => {
      if (!client) {
        const reason = error ?? new Error('The pool has no connection.');
        noteUnsent(reason);
        reject(reason);
        return;
      }
      // The connection may be older than the guard of the pool.
      keepQuiet(client);
      resolve(client);
    });
  });
}

/** Returns the connection of a query runner, which takes one if it has none yet. */
export const clientOf = async (queryRunner: QueryRunner): Promise<PoolClient> =>
  (await queryRunner.connect()) as PoolClient;

const ignore = (): void => undefined;

// Holds nothing that the application does not hold already.
const guardedPools = new WeakSet<Pool>();
