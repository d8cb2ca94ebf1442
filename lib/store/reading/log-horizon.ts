/** How far the log can be read now, and which transactions hold readers back. */
export interface LogHorizon {
  /** The last position that readers may see now; they get no event after it yet. */
  readonly position: number;
  /** The last position that was drawn; it is after `position` while appends are in flight. */
  readonly lastPosition: number;
  /** Transactions that have appended and are still open; readers wait for the first of them. */
  readonly openAppends: readonly OpenAppend[];
}

/** A transaction that has appended and is still open. Readers wait at its first position. */
export interface OpenAppend {
  /** The process of the database that serves the transaction; `null` for a prepared transaction. */
  readonly pid: number | null;
  /** The application name of its connection; `null` if the database hides it from this role. */
  readonly applicationName: string | null;
  /** The role of its login; `null` for a prepared transaction. */
  readonly role: string | null;
  /**
   * The advisory lock that identifies it, as `pg_locks` shows it. Any role that may connect can take
   * such a lock; a transaction that has done so without an append holds readers back all the same.
   */
  readonly lock: { readonly classid: number; readonly objid: number };
  /** When the transaction began, by the clock of the database; `null` if the database hides it. */
  readonly since: Date | null;
  /** All positions of the transaction are greater than this one. */
  readonly position: number;
}

/**
 * Describes the session that holds back readers, and its lock, which any role of the database can take.
 */
export function describeOpenAppend({ pid, role, applicationName, lock }: OpenAppend): string {
  const process =
    pid === null
      ? 'a prepared transaction'
      : `process ${pid} of the database, role '${role ?? 'unknown'}', application ` +
        `'${applicationName ?? 'hidden'}'`;
  return `${process}, by advisory lock (${lock.classid}, ${lock.objid})`;
}
