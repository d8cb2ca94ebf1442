import { lockNamespace } from './schema-name.ts';

/**
 * Registers the transaction as in flight, in a function that declares `v_last` and `v_setting`.
 *
 * To be done before a position is drawn. A reader stops at the lowest number that is registered, and
 * all positions drawn afterwards are greater than the number registered here; one that looked before
 * the registration stops at the last position drawn, which is lower too. The lock is shared, so it
 * makes nobody wait, and ends with the transaction, after its commit has become visible. Once per
 * transaction is enough; a rolled-back savepoint undoes the lock and the setting alike.
 *
 * Written as expressions, which PL/pgSQL evaluates by itself; PERFORM would start the executor.
 */
export const registerInFlight = (schema: string): string => {
  const namespace = lockNamespace(schema);
  const inFlight = `event_store.in_flight_${(namespace >>> 0).toString(16)}`;
  return `IF coalesce(current_setting('${inFlight}', true), '') = '' THEN
      v_last := coalesce(pg_sequence_last_value('"${schema}".positions'), 0);
      IF pg_advisory_xact_lock_shared(${namespace}, (v_last & 2147483647)::integer) IS NULL THEN END IF;
      v_setting := set_config('${inFlight}', v_last::text, true);
    END IF;`;
};
