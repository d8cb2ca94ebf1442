/**
 * Makes the commit of the transaction wait for the disk, and for a synchronous standby if there is one,
 * even if the session's settings would not; for a function that declares `v_setting`.
 *
 * This applies only if the transaction is the store's own, because the store is responsible for what it
 * acknowledges. A standby that was not waited for causes a warning, so warnings are sent, too.
 */
export const commitDurably = (isOwn: string): string => `IF ${isOwn}
      AND (current_setting('synchronous_commit') = 'off' OR current_setting('client_min_messages') = 'error')
    THEN
      v_setting := set_config('client_min_messages', 'warning', true);
      IF current_setting('synchronous_commit') = 'off' THEN
        v_setting := set_config('synchronous_commit', 'on', true);
      END IF;
    END IF;`;

/** Like `commitDurably` for a statement that commits by itself, as a row of its FROM clause. */
export const durableCommit = `(
  SELECT
    set_config('client_min_messages', 'warning', true),
    CASE current_setting('synchronous_commit')
      WHEN 'off' THEN set_config('synchronous_commit', 'on', true)
    END
) AS durable`;
