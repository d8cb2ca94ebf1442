import { lockNamespace } from '../schema-name.ts';

/**
 * The appends that are registered as in flight: the session, its lock, and the number under which they
 * registered.
 *
 * All positions of such an append are greater than that number. `last` is an expression for the last
 * position drawn, read before. A lock's key holds the low 31 bits of the number, so the number is
 * found by how far it is below `last`. Just below 2^31, that means an append that has registered
 * since `last` was read: it is above it and left out.
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
