/**
 * Makes the commit of the transaction wait for the disk, and for a synchronous standby if there is one,
 * where the session would not; in a function that declares `v_setting`.
 *
 * Only under the condition that the transaction is the store's own: it answers for what it acknowledges.
 * A standby that was not waited for shows in a warning, so warnings are sent too.
 */
export const commitDurably = (isOwn: string): string => `IF ${isOwn}
      AND (current_setting('synchronous_commit') = 'off' OR current_setting('client_min_messages') = 'error')
    THEN
      v_setting := set_config('client_min_messages', 'warning', true);
      IF current_setting('synchronous_commit') = 'off' THEN
        v_setting := set_config('synchronous_commit', 'on', true);
      END IF;
    END IF;`;

/** The same for a statement that commits by itself, as a row of its FROM clause. */
export const durableCommit = `(
  SELECT
    set_config('client_min_messages', 'warning', true),
    CASE current_setting('synchronous_commit')
      WHEN 'off' THEN set_config('synchronous_commit', 'on', true)
    END
) AS durable`;
