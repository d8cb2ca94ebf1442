import type { ClientBase } from 'pg';

/** A committed result, and whether the synchronous standby has it, if one is configured. */
export interface Committed<T> {
  readonly value: T;
  readonly isReplicated: boolean;
}

/**
 * Runs work that commits, and reports whether the server has waited for its synchronous standby.
 *
 * A wait that is cancelled, as by `pg_cancel_backend`, ends in success with a warning: the commit may
 * then exist only on this server. The warning arrives before the answer, so it is known when the work
 * has settled. It is recognized by the routine in the server's source that raises it, because its
 * SQLSTATE is that of any warning, and its text is translated.
 */
export async function watchingReplication<T>(
  work: (watch: (client: ClientBase) => void) => Promise<T>,
): Promise<Committed<T>> {
  let isReplicated = true;
  const watched: ClientBase[] = [];
  const onNotice = ({ routine }: { routine?: string | undefined }): void => {
    if (routine === 'SyncRepWaitForLSN') isReplicated = false;
  };
  try {
    const value = await work((client) => {
      watched.push(client);
      client.on('notice', onNotice);
    });
    return { value, isReplicated };
  } finally {
    for (const client of watched) client.off('notice', onNotice);
  }
}
