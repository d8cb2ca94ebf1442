import { startEmbeddedPostgres } from './embedded-postgres.ts';

export interface ProvidedDatabase {
  readonly url: string;
  /** Ends what `provideDatabase` started; call it when the application has closed. */
  stop(): Promise<void>;
}

/**
 * Returns the database that the sample runs on: `DATABASE_URL`, or else a server of our own.
 *
 * Our own keeps its data in `.data/pg` below the working directory, and is shared by everything that
 * runs there.
 */
export async function provideDatabase(): Promise<ProvidedDatabase> {
  const url = process.env['DATABASE_URL'];
  if (url) return { url, stop: async () => {} };
  return startEmbeddedPostgres({ dataDir: '.data/pg', durable: true });
}
