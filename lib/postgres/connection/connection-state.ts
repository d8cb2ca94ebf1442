import type { EventEmitter } from 'node:events';
import type { ClientBase } from 'pg';

/** Idle, inside a transaction, or inside a failed transaction, as every ReadyForQuery reports it. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** The fields of the driver's client that are missing in its public types. */
interface DriverClient {
  /** False while a statement is running, even an abandoned one. */
  readonly readyForQuery?: boolean;
  /** The statement that waits for its answer; this is its name from pg 8.17 on. */
  readonly _activeQuery?: unknown;
  readonly activeQuery?: unknown;
  /** Missing before pg 8.20. */
  getTransactionStatus?(): string | null;
  readonly connection?: EventEmitter & { readonly stream?: { readonly writable: boolean } };
}

// Holds nothing that the application does not hold already. Keyed by the connection, because a client
// may be a stand-in for another one.
const heard = new WeakMap<object, TransactionStatus | undefined>();

/** Records the status of a connection from now on, for drivers that do not keep it. */
export function watchStatus(client: ClientBase, status?: TransactionStatus): void {
  const { connection } = client as DriverClient;
  if ('getTransactionStatus' in client || !connection || heard.has(connection)) return;
  heard.set(connection, status);
  // Prepended, to run before the listener of the driver, which settles the statement.
  connection.prependListener('readyForQuery', (message: { readonly status: TransactionStatus }) =>
    heard.set(connection, message.status),
  );
}

/** Returns the status that the server reported last; `undefined` if none was recorded. */
export function transactionStatus(client: ClientBase): TransactionStatus | undefined {
  const driver = client as DriverClient;
  if (!driver.getTransactionStatus) return driver.connection && heard.get(driver.connection);
  return (driver.getTransactionStatus() as TransactionStatus | null) ?? undefined;
}

/**
 * Keeps the process alive if a connection is lost between two statements: an error event without a
 * listener would end it. The pool removes such a client when it is released.
 */
export function keepQuiet(client: ClientBase): void {
  if (client.listenerCount('error', ignore) === 0) client.on('error', ignore);
}

const ignore = (): void => undefined;

/** Returns whether nothing can be sent over the connection any more. */
export const isClosed = (client: ClientBase): boolean =>
  (client as DriverClient).connection?.stream?.writable === false;

/** Returns whether the connection runs no statement. */
export const isReady = (client: ClientBase): boolean =>
  (client as DriverClient).readyForQuery !== false;

/**
 * Waits until a connection whose statement has failed is ready for the next one.
 *
 * The server sends an error at once and reports that it is ready in another packet, which a busy
 * process may read later. Returns at once if a statement is still running.
 */
export async function untilReady(client: ClientBase): Promise<void> {
  const { connection } = client as DriverClient;
  if (!connection || isReady(client) || isClosed(client) || isAwaitingAnswer(client)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      for (const event of readyOrGone) connection.off(event, done);
      resolve();
    };
    // Over a half-open connection, the report never comes.
    const timer = setTimeout(done, readyTimeoutMs).unref();
    for (const event of readyOrGone) connection.on(event, done);
  });
}

const readyOrGone = ['readyForQuery', 'end', 'error'];
const readyTimeoutMs = 5_000;

const isAwaitingAnswer = (client: ClientBase): boolean => {
  const { _activeQuery: current } = client as DriverClient;
  // Where the new name exists, the old one is a getter that prints a warning.
  return (current === undefined ? (client as DriverClient).activeQuery : current) != null;
};

/**
 * Returns whether the connection runs nothing, outside of any transaction: no other code still uses it.
 */
export const isIdle = (client: ClientBase): boolean =>
  isReady(client) && transactionStatus(client) === 'I';

/** Returns whether the connection is inside a transaction, failed or not. */
export const isInTransaction = (client: ClientBase): boolean =>
  ['T', 'E'].includes(transactionStatus(client) ?? 'I');

/**
 * Runs work that ends a transaction, and returns the command with which the server says that it ended.
 *
 * The last such command tag is that of the COMMIT: statements that were not awaited are answered before
 * it, and queries of subscribers after it have other tags.
 */
export async function endOfTransaction(
  client: ClientBase,
  work: () => Promise<void>,
): Promise<'COMMIT' | 'ROLLBACK' | undefined> {
  const { connection } = client as DriverClient;
  let end: 'COMMIT' | 'ROLLBACK' | undefined;
  const onComplete = ({ text }: { readonly text: string }): void => {
    if (text === 'COMMIT' || text === 'ROLLBACK') end = text;
  };
  connection?.on('commandComplete', onComplete);
  try {
    await work();
    return end;
  } finally {
    connection?.off('commandComplete', onComplete);
  }
}
