/** How far the log can be read now, and which transactions hold readers back. */
export interface LogHorizon {
  /** No event above this position is handed to readers yet. */
  readonly position: number;
  /** The last position that was drawn; above `position` while appends are in flight. */
  readonly lastPosition: number;
  /** Transactions that have appended and are still open, the one that readers wait for first. */
  readonly openAppends: readonly OpenAppend[];
}

/** A transaction that has appended and is still open. Readers wait at its first position. */
export interface OpenAppend {
  /** The process of the database that serves it; `null` for a prepared transaction. */
  readonly pid: number | null;
  /** What its connection calls itself; `null` if the database hides it from this role. */
  readonly applicationName: string | null;
  /** The role that it logged in as; `null` for a prepared transaction. */
  readonly role: string | null;
  /**
   * The advisory lock by which it is found, as `pg_locks` shows it. Any role that may connect can take
   * one; a transaction that did, and has appended nothing, holds readers back all the same.
   */
  readonly lock: { readonly classid: number; readonly objid: number };
  /** When the transaction began, by the clock of the database; `null` if it is hidden. */
  readonly since: Date | null;
  /** All of its positions are greater than this. */
  readonly position: number;
}

/** Names the session that holds back readers, and its lock: any role of the database can take it. */
export function describeOpenAppend({ pid, role, applicationName, lock }: OpenAppend): string {
  const process =
    pid === null
      ? 'a prepared transaction'
      : `process ${pid} of the database, role '${role ?? 'unknown'}', application ` +
        `'${applicationName ?? 'hidden'}'`;
  return `${process}, by advisory lock (${lock.classid}, ${lock.objid})`;
}
