/**
 * A lease is the life of a process: one row of `consumer_processes`, which the process renews, and to
 * which the checkpoints that it holds refer by their owner. It ends by the clock of the database.
 *
 * `owner` is an expression for the owner of a checkpoint; the result is NULL for a free checkpoint.
 */
export const isHeld = (schema: string, owner: string): string => `EXISTS (
    SELECT FROM "${schema}".consumer_processes AS alive
    WHERE alive.owner = ${owner} AND alive.lease_expires_at >= clock_timestamp()
  )`;

/**
 * The same for a query that only shows leases. A lease that ends further ahead than one lease was
 * renewed before the clock was set back, so it says nothing about its owner.
 */
export const isShownAsHeld = (schema: string, owner: string): string => `EXISTS (
    SELECT FROM "${schema}".consumer_processes AS alive
    WHERE alive.owner = ${owner} AND alive.lease_expires_at BETWEEN clock_timestamp()
      AND clock_timestamp() + alive.lease_ms * interval '1 millisecond'
  )`;

/**
 * Cuts every lease that ends further ahead than one lease from now, as after the clock of the database
 * was set back: a dead owner keeps its lease for one lease at most, by any clock. A live owner loses
 * nothing, because what is left is at least what it was promised.
 *
 * The time is read after the snapshot, so a renewal that the snapshot sees is never ahead of it, and
 * without such a change of the clock nothing is written. A row that is locked is being renewed.
 */
export const cutLeases = (schema: string): string => `
  UPDATE "${schema}".consumer_processes AS p
  SET lease_expires_at = clock_timestamp() + p.lease_ms * interval '1 millisecond'
  WHERE p.owner IN (
    SELECT a.owner FROM "${schema}".consumer_processes AS a
    WHERE a.lease_expires_at > clock_timestamp() + a.lease_ms * interval '1 millisecond'
    FOR UPDATE SKIP LOCKED
  )`;
