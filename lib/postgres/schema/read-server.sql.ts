import { appendsInFlight } from './fragments/appends-in-flight.sql.ts';
import { lockNamespace } from './schema-name.ts';

/**
 * Reads the settings of the server and the session, whether the role may append, and whether an
 * advisory lock that the session holds shows among the appends in flight, on which the horizon relies.
 *
 * The lock has another name than those of the store, so that it holds back no reader.
 */
export const readServer = (schema: string): string => {
  const probe = `${schema} (probe)`;
  return `
WITH probe AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock_shared(${lockNamespace(probe)}, 0) AS took
)
SELECT
  version() AS version,
  current_setting('server_encoding', true) AS server_encoding,
  current_setting('client_encoding', true) AS client_encoding,
  current_setting('session_replication_role', true) AS replication_role,
  current_setting('synchronous_commit', true) AS synchronous_commit,
  current_setting('default_transaction_read_only', true) = 'on' AND NOT pg_is_in_recovery() AS read_only,
  coalesce(
    (
      SELECT bool_or(has_function_privilege(p.oid, 'EXECUTE'))
      FROM pg_proc AS p
      JOIN pg_namespace AS n ON n.oid = p.pronamespace
      WHERE n.nspname = $1 AND p.proname = 'append_event'
    ),
    true
  ) AS may_append,
  NOT probe.took OR EXISTS (
    SELECT FROM (${appendsInFlight(probe, '0::bigint')}
    ) AS f WHERE f.pid = pg_backend_pid() AND probe.took
  ) AS sees_locks
FROM probe`;
};

/**
 * Draws two keys of aggregates, whose gaps are invisible, and reads the sequence. On a server that
 * hands out numbers in blocks, by connection or node, the sequence is ahead of the last number drawn.
 */
export const drawTwice = (schema: string): string => `
SELECT d.first, d.second, l.last_value AS last
FROM (
  SELECT
    nextval('"${schema}".aggregates_key_seq') AS first,
    nextval('"${schema}".aggregates_key_seq') AS second
) AS d
CROSS JOIN LATERAL (
  SELECT s.last_value FROM "${schema}".aggregates_key_seq AS s WHERE d.second > 0
) AS l
-- Where an operator has set a cache, it says nothing of the server.
WHERE EXISTS (
  SELECT FROM pg_sequence AS q
  WHERE q.seqrelid = '"${schema}".aggregates_key_seq'::regclass AND q.seqcache = 1
)`;

/** Whether the role may draw numbers. */
export const mayDraw = (schema: string): string =>
  `SELECT has_sequence_privilege('"${schema}".aggregates_key_seq', 'USAGE') AS may_draw`;
