import { startEmbeddedPostgres } from '../../dev/postgres/embedded-postgres.ts';
import { server } from './test-server.ts';

/** Starts the server that all spec files share, unless `DATABASE_URL` names one. */
export default async function globalSetup(): Promise<void> {
  if (process.env['DATABASE_URL']) return;
  server.embedded = await startEmbeddedPostgres({
    durable: false,
    settings: { max_connections: 300, max_prepared_transactions: 10 },
  });
  process.env['DATABASE_URL'] = server.embedded.url;
}
