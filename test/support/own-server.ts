import { execFile, execFileSync } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PostgresCluster, type RunningServer } from '../../dev/postgres/postgres-cluster.ts';
import { type PostgresBinaries, postgresBinaries } from '../../dev/postgres/postgres-binaries.ts';
import { queryOnce } from '../../dev/postgres/query-once.ts';
import { serverAccount } from '../../dev/postgres/server-account.ts';
import { temporaryDirectory } from '../../dev/postgres/server-directory.ts';
import { eventually } from './eventually.ts';

/** A server for one spec alone, which may go down. */
export interface OwnServer {
  /** The same after every outage. */
  readonly url: string;
  readonly dataDir: string;
  /**
   * Stops it in good order, with its connections closed; kills its first process, which the others
   * notice; or kills all of them at the same moment.
   */
  goDown(how: 'stopped' | 'killed' | 'crashed'): Promise<void>;
  comeBack(): Promise<void>;
  /** Suspends all of its processes until `thaw`; connections stay open. */
  freeze(): void;
  thaw(): void;
  /** Keeps a copy of its data, for which it goes down for a moment. */
  keepCopy(): Promise<void>;
  /** Restores the copy, like a failover that loses the last writes. */
  goBack(): Promise<void>;
  /** Stops it for good and removes its data. */
  stop(): Promise<void>;
}

export interface OwnServerOptions {
  /** Whether it writes to the disk what it acknowledges, which takes longer. @default false */
  readonly durable?: boolean;
  readonly settings?: Readonly<Record<string, string | number>>;
  /** @default those that npm has installed */
  readonly binaries?: PostgresBinaries;
}

export async function startOwnServer({
  durable = false,
  ...options
}: OwnServerOptions = {}): Promise<OwnServer> {
  return startOn({ ...options, durable }, (cluster) => cluster.create({ durable }));
}

/** A replica of another server, which may take its place. */
export interface Standby extends OwnServer {
  /** Makes it a server in its own right, which takes writes. */
  promote(): Promise<void>;
}

/**
 * Starts a standby from a copy of the server's data; the server goes down for a moment meanwhile.
 *
 * It follows the server at `followedUrl`, which may be the URL of a proxy.
 */
export async function startStandby(
  primary: OwnServer,
  followedUrl: string,
  options: OwnServerOptions,
): Promise<Standby> {
  const standby = await startOn(options, async ({ dataDir }) => {
    await primary.goDown('stopped');
    await promisify(execFile)('cp', ['-a', primary.dataDir, dataDir]);
    // The content does not matter: copies a file that belongs to the server's account.
    await promisify(execFile)('cp', [
      '-a',
      join(dataDir, 'PG_VERSION'),
      join(dataDir, 'standby.signal'),
    ]);
    const { port } = new URL(followedUrl);
    await appendFile(
      join(dataDir, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'\n`,
    );
    await primary.comeBack();
  });
  return {
    ...standby,
    async promote() {
      await queryOnce(standby.url, 'SELECT pg_promote()');
    },
  };
}

async function startOn(
  { durable = false, settings: given = {}, binaries }: OwnServerOptions,
  make: (cluster: PostgresCluster) => Promise<void>,
): Promise<OwnServer> {
  const account = serverAccount();
  const place = await temporaryDirectory(account);
  const programs = binaries ?? (await postgresBinaries(account));
  const cluster = new PostgresCluster(place.dataDir, programs, account);
  await make(cluster);
  const settings = {
    ...(!durable && { fsync: 'off', full_page_writes: 'off' }),
    max_connections: 60,
    ...given,
  };
  let server: RunningServer = await cluster.start({ settings });
  const { url } = server;
  const isAlive = (): boolean => {
    try {
      return process.kill(server.pid, 0);
    } catch {
      return false;
    }
  };

  const comeBack = async (): Promise<void> => {
    server = await cluster.start({ port: Number(new URL(url).port), settings });
  };
  const whileStopped = async (work: () => Promise<void>): Promise<void> => {
    await cluster.stop();
    await work();
    await comeBack();
  };

  return {
    url,
    dataDir: place.dataDir,
    async goDown(how) {
      if (how === 'stopped') return cluster.stop();
      signalAll(how === 'killed' ? [server.pid] : processesOf(server.pid), 'SIGKILL');
      await eventually(() => !isAlive());
    },
    comeBack,
    keepCopy: () => whileStopped(() => replaceDirectory(copyOf(place.dataDir), place.dataDir)),
    goBack: () => whileStopped(() => replaceDirectory(place.dataDir, copyOf(place.dataDir))),
    freeze: () => signalAll(processesOf(server.pid), 'SIGSTOP'),
    thaw: () => signalAll(processesOf(server.pid), 'SIGCONT'),
    async stop() {
      await cluster.stop();
      await place.remove();
    },
  };
}

const copyOf = (directory: string): string => `${directory}.copy`;

async function replaceDirectory(directory: string, by: string): Promise<void> {
  await promisify(execFile)('rm', ['-rf', directory]);
  await promisify(execFile)('cp', ['-a', by, directory]);
}

/** A server's first process and those that it has started. */
function processesOf(pid: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n');
  const children = lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid ? [child!] : []));
  return [pid, ...children];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself meanwhile.
    }
  }
}
