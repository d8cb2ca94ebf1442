import { postgresBinaries } from './postgres-binaries.ts';
import { PostgresCluster } from './postgres-cluster.ts';
import { serverAccount } from './server-account.ts';
import { takeShare } from './server-share.ts';
import { keptDirectory, temporaryDirectory } from './server-directory.ts';

export interface EmbeddedPostgresOptions {
  /** Where the data is kept. @default a new temporary directory, which `stop` removes */
  readonly dataDir?: string;
  /** Whether acknowledged commits survive a crash of the machine (fsync), at the price of speed. */
  readonly durable: boolean;
  /** @default any free port */
  readonly port?: number;
  /** Further settings of the server, such as `max_connections`; no blanks in the values. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export interface EmbeddedPostgres {
  /** URL of the database `postgres`, as superuser. The server listens on loopback, without password. */
  readonly url: string;
  readonly dataDir: string;
  /** Id of the server's first process. */
  readonly pid: number;
  /** Stops the server, unless another process that called `startEmbeddedPostgres` uses it still. */
  stop(): Promise<void>;
}

/**
 * Starts a real PostgreSQL from the binaries that npm installed, and resolves when it answers.
 *
 * A server that already runs on `dataDir` is shared: one that a killed process left running, or one that
 * another process uses. The last call of `stop` stops it; the settings are those of the first caller.
 * Without `dataDir` the server is ours alone, and stops even if this process is killed.
 */
export async function startEmbeddedPostgres({
  dataDir,
  durable,
  port,
  settings,
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = serverAccount();
  const binaries = await postgresBinaries(account);
  const place =
    dataDir === undefined
      ? await temporaryDirectory(account)
      : await keptDirectory(dataDir, account);
  const cluster = new PostgresCluster(place.dataDir, binaries, account);
  await cluster.create({ durable });
  const server = await cluster.start({
    port,
    settings: { ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }), ...settings },
  });
  const share = await takeShare(server.url);

  return {
    ...server,
    dataDir: place.dataDir,
    async stop() {
      if (await share.giveUp()) await cluster.stop();
      await place.remove();
    },
  };
}
