/**
 * Limits how long a statement waits for a row that another transaction holds, as a row of its FROM
 * clause. Only for a statement that is a transaction by itself: in a caller's, the caller's limit counts.
 */
export const lockTimeout = (ms: number): string =>
  `(SELECT set_config('lock_timeout', '${ms}', true)) AS lock_timeout (setting)`;
