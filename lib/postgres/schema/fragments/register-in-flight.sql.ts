import { lockNamespace } from '../schema-name.ts';

/**
 * Registers the transaction as in flight, in a function that declares `v_last` and `v_setting`.
 *
 * It must run before the first position is drawn. A reader stops at the lowest registered number, and
 * all positions drawn afterwards are greater than the number registered here; a reader that looked
 * before the registration stops at the last position drawn, which is lower, too. The lock is shared, so
 * appends never wait for it. Any role of the database can take it exclusively. The call then fails at
 * once and names the lock, because a wait for such a role has no limit; the process tries again for
 * lockTimeoutMs. The lock ends with the transaction, after the commit has become visible.
 *
 * A transaction registers at each append, always under the number of its first one: a lock that it
 * already holds costs nothing and takes no room in the table of locks. The setting only remembers that
 * number, and a rolled-back savepoint undoes the lock and the setting alike. Any role can change a
 * setting, so no value of the setting lets an append do without its lock: a value of another
 * transaction does not count, and a number is never above the last position drawn, nor so far below it
 * that its lower bits repeat.
 *
 * Written as expressions, which PL/pgSQL evaluates itself; PERFORM would start the executor.
 */
export const registerInFlight = (schema: string): string => {
  const namespace = lockNamespace(schema);
  const inFlight = `event_store.in_flight_${(namespace >>> 0).toString(16)}`;
  return `v_last := coalesce(pg_sequence_last_value('"${schema}".positions'), 0);
    v_setting := pg_current_xact_id()::text || ' ';
    IF starts_with(current_setting('${inFlight}', true), v_setting) THEN
      v_last := greatest(
        least(split_part(current_setting('${inFlight}'), ' ', 2)::bigint, v_last),
        v_last - 1073741824
      );
    ELSE
      v_setting := set_config('${inFlight}', v_setting || v_last, true);
    END IF;
    IF NOT pg_try_advisory_xact_lock_shared(${namespace}, (v_last & 2147483647)::integer) THEN
      RAISE EXCEPTION 'Another session holds an advisory lock of the store exclusively.'
        USING ERRCODE = 'lock_not_available', CONSTRAINT = format(
          'the advisory lock with classid %s and objid %s', ${namespace >>> 0}, v_last & 2147483647
        );
    END IF;`;
};
