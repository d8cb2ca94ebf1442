import type { Client } from 'pg';
import type { Database } from '../database.ts';

/**
 * Returns the problems of the limits of the pool, each with its remedy.
 *
 * If the pool waits for an answer no longer than an append may wait for a locked aggregate, an append
 * that only waits looks like a lost connection.
 */
export function poolProblems(database: Database, lockTimeoutMs: number): readonly string[] {
  // The data source's options are not enough: the driver also reads it from the URL and the
  // environment.
  const { connectionParameters } = database.connections.newClient({}) as Client & {
    readonly connectionParameters: { readonly query_timeout: unknown };
  };
  const queryTimeoutMs = Number(connectionParameters.query_timeout);
  if (!(queryTimeoutMs > 0) || queryTimeoutMs > lockTimeoutMs) return [];
  return [
    `The pool gives up a statement after ${queryTimeoutMs} ms (query_timeout), but an append may wait ` +
      `${lockTimeoutMs} ms for an aggregate (lockTimeoutMs): an append that only waits would ` +
      'look like a lost connection. Make query_timeout longer, or lockTimeoutMs shorter.',
  ];
}
