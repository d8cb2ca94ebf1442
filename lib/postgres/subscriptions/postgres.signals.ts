import type { Client } from 'pg';
import { Signals, type Signal } from '../../subscriptions/signals.ts';
import { atMostEvery, type Paced } from '../connection/at-most-every.ts';
import type { ControlConnection } from '../connection/control-connection.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { lockNamespace } from '../schema/schema-name.ts';

/** The name under which the processes of a store hear of each other. */
export const channelOf = (schema: string): string =>
  `event_store_${(lockNamespace(schema) >>> 0).toString(16)}`;

export interface PostgresSignalsOptions {
  readonly schema: string;
  /** After LISTEN in a shared session, its next user would get the signals; NOTIFY needs no session. */
  readonly listen: boolean;
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
  readonly #listens: boolean;
  readonly #sendAppend = atMostEvery(appendIntervalMs, () => this.#send('append'));
  // Every role that may connect can notify, as often as it likes.
  readonly #hear: Readonly<Record<Signal, Paced>> = {
    append: atMostEvery(appendIntervalMs, () => this.#onSignal?.('append')),
    control: atMostEvery(controlIntervalMs, () => this.#onSignal?.('control')),
  };
  #onSignal: ((signal: Signal) => void) | undefined;
  #stopped = false;

  constructor(
    database: Database,
    connection: ControlConnection,
    { schema, listen }: PostgresSignalsOptions,
  ) {
    super();
    this.#database = database;
    this.#connection = connection;
    this.#channel = channelOf(schema);
    this.#listens = listen;
  }

  async start(onSignal: (signal: Signal) => void): Promise<void> {
    this.#onSignal = onSignal;
    await this.#connection.open();
  }

  /** Listens on a connection that was just made; whatever was said meanwhile is made up for. */
  async subscribe(client: Client): Promise<void> {
    if (this.#listens) {
      client.on('notification', ({ payload }) => {
        if (payload === 'append' || payload === 'control') this.#hear[payload]();
      });
      await client.query(`LISTEN "${this.#channel}"`);
    }
    this.#hear.append();
    this.#hear.control();
  }

  announce(signal: Signal): void {
    if (this.#stopped) return;
    if (signal === 'control') this.#send(signal);
    else this.#sendAppend();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const paced of [this.#sendAppend, this.#hear.append, this.#hear.control]) paced.cancel();
    await this.#connection.close();
  }

  #send(signal: Signal): void {
    this.#database
      .query(this.#notify, [this.#channel, signal])
      // Polling finds it: a signal is never needed.
      .catch(ignore);
  }
}

/** One signal for all appends of a few milliseconds. */
const appendIntervalMs = 20;

/** Each makes every process look at its leases. */
const controlIntervalMs = 50;

const ignore = (): void => undefined;
