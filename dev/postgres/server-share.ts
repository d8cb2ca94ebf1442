import type { Socket } from 'node:net';
import { Client } from 'pg';
import { queryOnce } from './query-once.ts';

const applicationName = 'nest-event-store share';

/** One process's part in a server that several may use. */
export interface ServerShare {
  /** Ends this share; resolves to true if the server runs and no other process has a share in it. */
  giveUp(): Promise<boolean>;
}

/**
 * Takes a share in a server: one idle connection, which ends with the process at the latest.
 *
 * It does not keep the process alive.
 */
export async function takeShare(url: string): Promise<ServerShare> {
  const client = new Client({ connectionString: url, application_name: applicationName });
  // Emitted when the server is gone; the application's own connections report that.
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const others = `
    SELECT count(*)::int FROM pg_stat_activity
    WHERE application_name = '${applicationName}' AND pid <> ${rows[0]?.pid}`;
  const socket = client.connection.stream as Socket;
  socket.unref();
  return {
    async giveUp() {
      socket.ref();
      await client.end();
      return (await queryOnce(url, others).catch(() => undefined)) === 0;
    },
  };
}
