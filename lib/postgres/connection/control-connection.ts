import type { Client, QueryResultRow } from 'pg';
import type { Database } from './database.ts';
import type { Statement } from './statement.ts';

/**
 * A separate connection for what must not wait for a busy pool: leases and signals.
 *
 * It reconnects by itself. If a statement fails because the connection is gone, or is not answered in
 * time, as over a half-open socket, the connection is given up and a new one is made, until `close`.
 */
export class ControlConnection {
  readonly #database: Database;
  readonly #onConnected: (client: Client) => Promise<void>;
  #client: Promise<Client> | undefined;
  /** The client that the promise in `#client` has resolved to. */
  #current: Client | undefined;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(database: Database, onConnected: (client: Client) => Promise<void>) {
    this.#database = database;
    this.#onConnected = onConnected;
  }

  /** Connects and stays connected; rejects if the first attempt fails, but keeps trying. */
  async open(): Promise<void> {
    await this.#connected();
  }

  async query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const client = await this.#connected();
    try {
      return await this.#database.sender.run<Row>(client, statement, values);
    } catch (error) {
      // An error that the server sent has a severity; without one, there was no answer.
      if (!('severity' in (error as object))) this.#giveUp(client);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const client = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    // A socket that gets no answers would never end by itself.
    if (client) await Promise.race([client.end(), wait(1_000)]).catch(() => undefined);
  }

  #connected(): Promise<Client> {
    if (this.#closed) return Promise.reject(new Error('The connection is closed.'));
    if (!this.#client) {
      const connecting = this.#connect();
      this.#client = connecting;
      connecting.catch(() => {
        if (this.#client === connecting) this.#client = undefined;
        this.#tryAgainLater();
      });
    }
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = this.#database.connections.newClient({
      keepAlive: true,
      connectionTimeoutMillis: answerTimeoutMs,
      query_timeout: answerTimeoutMs,
    });
    client.on('error', () => this.#giveUp(client));
    client.on('end', () => this.#giveUp(client));
    try {
      await client.connect();
      this.#current = client;
      await this.#onConnected(client);
      return client;
    } catch (error) {
      if (this.#current === client) this.#current = undefined;
      void client.end().catch(() => undefined);
      throw error;
    }
  }

  #giveUp(client: Client): void {
    if (this.#current !== client) return;
    this.#current = undefined;
    this.#client = undefined;
    void client.end().catch(() => undefined);
    this.#tryAgainLater();
  }

  #tryAgainLater(): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#retry = setTimeout(() => void this.#connected().catch(() => undefined), retryMs);
    this.#retry.unref();
  }
}

const answerTimeoutMs = 5_000;
const retryMs = 250;

const wait = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
