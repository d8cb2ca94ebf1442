import type { Client } from 'pg';
import type { Database } from '../database.ts';

/**
 * Says what is wrong with the limits of the pool, each problem with its remedy.
 *
 * Where answers are awaited no longer than aggregates that others hold, an append that only waits is
 * taken for one whose connection is lost.
 */
export function poolProblems(database: Database, lockTimeoutMs: number): readonly string[] {
  // Not by the data source's options: the driver takes it from the URL and the environment, too.
  const { connectionParameters } = database.connections.newClient({}) as Client & {
    readonly connectionParameters: { readonly query_timeout: unknown };
  };
  const queryTimeoutMs = Number(connectionParameters.query_timeout);
  if (!(queryTimeoutMs > 0) || queryTimeoutMs > lockTimeoutMs) return [];
  return [
    `The pool gives up a statement after ${queryTimeoutMs} ms (query_timeout), but an append may wait ` +
      `${lockTimeoutMs} ms for an aggregate (lockTimeoutMs): what only waits would look like a lost ` +
      'connection. Make query_timeout longer, or lockTimeoutMs shorter.',
  ];
}
