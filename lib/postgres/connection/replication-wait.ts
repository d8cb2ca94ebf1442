import type { ClientBase } from 'pg';

/** What was committed, and whether the synchronous standby has it, if there has to be one. */
export interface Committed<T> {
  readonly value: T;
  readonly isReplicated: boolean;
}

/**
 * Runs work that commits, and reports whether the server has waited for its synchronous standby.
 *
 * A wait that is cancelled, as by `pg_cancel_backend`, ends in success with a warning: the commit
 * is on this server and perhaps nowhere else. The warning comes before the answer, so it is here
 * when the work has settled. It is known by the place in the server's source that raises it, since its
 * SQLSTATE is that of any warning, and its wording is translated.
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
