/**
 * A lease belongs to a process: it is one row of `consumer_processes`, which the process renews. The
 * checkpoints that the process holds refer to the row by their owner. A lease ends by the clock of the
 * database.
 *
 * `owner` is an expression for the owner of a checkpoint; the result is NULL for a free checkpoint.
 */
export const isHeld = (schema: string, owner: string): string => `EXISTS (
    SELECT FROM "${schema}".consumer_processes AS alive
    WHERE alive.owner = ${owner} AND alive.lease_expires_at >= clock_timestamp()
  )`;

/**
 * Like `isHeld`, for a query that only shows leases. A lease that ends later than one lease from now
 * was renewed before the clock was set back, so it says nothing about its owner.
 */
export const isShownAsHeld = (schema: string, owner: string): string => `EXISTS (
    SELECT FROM "${schema}".consumer_processes AS alive
    WHERE alive.owner = ${owner} AND alive.lease_expires_at BETWEEN clock_timestamp()
      AND clock_timestamp() + alive.lease_ms * interval '1 millisecond'
  )`;

/**
 * Shortens every lease that ends later than one lease from now, which happens after the clock of the
 * database was set back. A dead owner thus keeps its lease for at most one lease, by any clock. A live
 * owner loses nothing, because at least the promised time is left.
 *
 * The current time is read after the snapshot, so a renewal that the snapshot sees never ends too late,
 * and nothing is written unless the clock was changed. A locked row is being renewed and is skipped.
 */
export const cutLeases = (schema: string): string => `
  UPDATE "${schema}".consumer_processes AS p
  SET lease_expires_at = clock_timestamp() + p.lease_ms * interval '1 millisecond'
  WHERE p.owner IN (
    SELECT a.owner FROM "${schema}".consumer_processes AS a
    WHERE a.lease_expires_at > clock_timestamp() + a.lease_ms * interval '1 millisecond'
    FOR UPDATE SKIP LOCKED
  )`;
