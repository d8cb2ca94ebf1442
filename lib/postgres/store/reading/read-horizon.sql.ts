import { lastDrawn } from '../../schema/fragments/last-drawn.sql.ts';
import { appendsInFlight } from '../../schema/fragments/appends-in-flight.sql.ts';
import { microseconds } from '../../schema/fragments/microseconds.sql.ts';

/**
 * Reads the last position drawn, and a row for every append in flight, first the one that readers wait
 * for. Without any append in flight, there is one row. What other roles run may be hidden: then only
 * the pid is known.
 */
export const readHorizon = (schema: string): string => `
SELECT
  l.last, f.registered, f.pid, f.classid, f.objid, a.application_name, a.usename AS role,
  ${microseconds('a.xact_start')} AS since
FROM (${lastDrawn(schema)}) AS l (last)
LEFT JOIN LATERAL (${appendsInFlight(schema, 'l.last')}
) AS f ON true
LEFT JOIN pg_stat_activity AS a ON a.pid = f.pid
ORDER BY f.registered, since`;
