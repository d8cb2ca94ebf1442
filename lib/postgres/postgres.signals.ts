import type { Client } from 'pg';
import { Signals, type Signal } from '../subscriptions/signals.ts';
import type { ControlConnection } from './control-connection.ts';
import { type Database, Statement } from './database.ts';
import { lockNamespace } from './sql/schema-name.ts';

/** The name under which the processes of a store hear of each other. */
export const channelOf = (schema: string): string =>
  `event_store_${(lockNamespace(schema) >>> 0).toString(16)}`;

export interface PostgresSignalsOptions {
  readonly schema: string;
  readonly listen: boolean;
  /** LISTEN in a session that others have next would tell them; NOTIFY needs no session. */
  readonly areSessionsShared?: boolean;
}

/**
 * Signals over LISTEN and NOTIFY.
 *
 * Never inside an append, as NOTIFY takes a lock of the whole server until its commit: in a statement
 * of its own afterwards, and for all appends of a few milliseconds together.
 */
export class PostgresSignals extends Signals {
  readonly #database: Database;
  readonly #connection: ControlConnection;
  readonly #channel: string;
  readonly #notify = new Statement('SELECT pg_notify($1, $2)');
  readonly #tells: boolean;
  readonly #hears: boolean;
  #onSignal: ((signal: Signal) => void) | undefined;
  #pending: NodeJS.Timeout | undefined;
  #again = false;
  #stopped = false;

  constructor(
    database: Database,
    connection: ControlConnection,
    { schema, listen, areSessionsShared = false }: PostgresSignalsOptions,
  ) {
    super();
    this.#database = database;
    this.#connection = connection;
    this.#channel = channelOf(schema);
    this.#tells = listen;
    this.#hears = listen && !areSessionsShared;
  }

  async start(onSignal: (signal: Signal) => void): Promise<void> {
    this.#onSignal = onSignal;
    await this.#connection.open();
  }

  /** Listens on a connection that was just made; whatever was said meanwhile is made up for. */
  async subscribe(client: Client): Promise<void> {
    if (this.#hears) {
      client.on('notification', ({ payload }) => this.#onSignal?.(payload as Signal));
      await client.query(`LISTEN "${this.#channel}"`);
    }
    this.#onSignal?.('append');
    this.#onSignal?.('control');
  }

  announce(signal: Signal): void {
    if (!this.#tells || this.#stopped) return;
    if (signal === 'control') this.#send(signal);
    else if (this.#pending) this.#again = true;
    else {
      this.#send(signal);
      this.#pending = setTimeout(() => {
        this.#pending = undefined;
        if (this.#again) {
          this.#again = false;
          this.announce('append');
        }
      }, quietMs);
      this.#pending.unref();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pending);
    await this.#connection.close();
  }

  #send(signal: Signal): void {
    this.#database
      .query(this.#notify, [this.#channel, signal])
      .catch(() => 'polling finds it: a signal is never needed');
  }
}

const quietMs = 20;
