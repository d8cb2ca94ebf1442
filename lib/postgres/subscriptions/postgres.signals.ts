import type { Client } from 'pg';
import { Signals, type Signal } from '../../subscriptions/signals.ts';
import { atMostEvery, type Paced } from '../connection/at-most-every.ts';
import type { ControlConnection } from '../connection/control-connection.ts';
import type { Database } from '../connection/database.ts';
import { Statement } from '../connection/statement.ts';
import { lockNamespace } from '../schema/schema-name.ts';

/** The channel on which the processes of a store notify each other. */
export const channelOf = (schema: string): string =>
  `event_store_${(lockNamespace(schema) >>> 0).toString(16)}`;

export interface PostgresSignalsOptions {
  readonly schema: string;
  /**
   * In a shared session, the next user would receive the signals of a LISTEN; NOTIFY needs no session.
   */
  readonly listen: boolean;
}

/**
 * Signals over LISTEN and NOTIFY.
 *
 * Signals are never sent inside an append, because NOTIFY takes a lock of the whole server until its
 * commit. They are sent afterwards in a separate statement, one for all appends of a few milliseconds.
 */
export class PostgresSignals extends Signals {
  readonly #database: Database;
  readonly #connection: ControlConnection;
  readonly #channel: string;
  readonly #notify = new Statement('SELECT pg_notify($1, $2)');
  readonly #listens: boolean;
  readonly #sendAppend = atMostEvery(appendIntervalMs, () => this.#send('append'));
  // Any role that may connect can notify, as often as it likes.
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

  /**
   * Listens on a new connection, and then signals once, because signals may have been missed meanwhile.
   */
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
      // Signals only save time: without one, polling finds the change.
      .catch(ignore);
  }
}

/** The time in which all appends share one signal. */
const appendIntervalMs = 20;

/** Limited, because each of these signals makes every process read its leases. */
const controlIntervalMs = 50;

const ignore = (): void => undefined;
