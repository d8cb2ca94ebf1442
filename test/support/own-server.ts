import { PostgresCluster, type RunningServer } from '../../sample-app/database/postgres-cluster.ts';
import { postgresBinaries } from '../../sample-app/database/postgres-binaries.ts';
import { serverAccount } from '../../sample-app/database/server-account.ts';
import { temporaryDirectory } from '../../sample-app/database/server-directory.ts';
import { eventually } from './eventually.ts';

/** A server for one spec alone, which may go down. */
export interface OwnServer {
  /** The same after every outage. */
  readonly url: string;
  /** Stopped in good order, with its connections closed; or killed, as in a crash of the machine. */
  goDown(how: 'stopped' | 'killed'): Promise<void>;
  comeBack(): Promise<void>;
  /** Stops it for good and removes its data. */
  stop(): Promise<void>;
}

export async function startOwnServer(): Promise<OwnServer> {
  const account = serverAccount();
  const place = await temporaryDirectory(account);
  const cluster = new PostgresCluster(place.dataDir, await postgresBinaries(account), account);
  await cluster.create({ durable: false });
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 60 };
  let server: RunningServer = await cluster.start({ settings });
  const { url } = server;
  const isAlive = (): boolean => {
    try {
      return process.kill(server.pid, 0);
    } catch {
      return false;
    }
  };

  return {
    url,
    async goDown(how) {
      if (how === 'stopped') return cluster.stop();
      process.kill(server.pid, 'SIGKILL');
      await eventually(() => !isAlive());
    },
    async comeBack() {
      server = await cluster.start({ port: Number(new URL(url).port), settings });
    },
    async stop() {
      await cluster.stop();
      await place.remove();
    },
  };
}
