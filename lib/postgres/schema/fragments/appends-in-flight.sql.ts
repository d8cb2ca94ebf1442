import { lockNamespace } from '../schema-name.ts';

/**
 * Lists the appends that are registered as in flight: the session, its lock, and the number under which
 * the append registered.
 *
 * All positions of such an append are greater than that number. `last` is an expression for the last
 * position drawn, which must be read before this query. A lock's key holds only the low 31 bits of the
 * number, so the number is computed from its distance below `last`. A distance just below 2^31 means
 * that the append has registered after `last` was read: its number is above `last`, and it is left out.
 */
export const appendsInFlight = (schema: string, last: string): string => `
  SELECT k.pid, k.classid::bigint, k.objid::bigint, ${last} - d.behind AS registered
  FROM pg_locks AS k
  CROSS JOIN LATERAL (SELECT (${last} - k.objid::bigint) & 2147483647 AS behind) AS d
  WHERE k.locktype = 'advisory'
    AND k.database = (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database())
    AND k.classid = ${lockNamespace(schema) >>> 0}
    AND k.objsubid = 2
    AND d.behind < 2147483648 - 1048576`;
