import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { queryOnce } from '../../dev/postgres/query-once.ts';
import { serverAccount } from '../../dev/postgres/server-account.ts';
import { eventually } from './eventually.ts';

/** A PgBouncer in front of a server, for one spec alone. */
export interface Pooler {
  /** The URL of the server through the pooler. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface PoolerOptions {
  /** For how long a client keeps a session of the server. @default 'transaction' */
  readonly mode?: 'transaction' | 'session';
  /** The sessions of the server, which should be fewer than clients. @default 4 */
  readonly poolSize?: number;
  /** What else to write into its configuration. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

// Debian installs it in a directory that only root has in its PATH.
const program = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  .map((directory) => join(directory, 'pgbouncer'))
  .find((path) => existsSync(path));

/** Whether PgBouncer is installed, which npm does not bring. */
export const hasPgBouncer = program !== undefined;

/** Whether it keeps prepared statements apart by default, as it does from 1.21 on. */
export const keepsStatements = program !== undefined && isAtLeast(program, 1, 21);

function isAtLeast(path: string, major: number, minor: number): boolean {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' });
  const [, first, second] = /^PgBouncer (\d+)\.(\d+)/.exec(version) ?? [];
  return Number(first) > major || (Number(first) === major && Number(second) >= minor);
}

/** Starts a PgBouncer on a free port; what is not set here has its default. */
export async function startPooler(
  serverUrl: string,
  { mode = 'transaction', poolSize = 4, settings = {} }: PoolerOptions = {},
): Promise<Pooler> {
  const server = new URL(serverUrl);
  const port = await freePort();
  const url = Object.assign(new URL(serverUrl), { hostname: '127.0.0.1', port: String(port) }).href;
  // It refuses to run as root, as PostgreSQL does; and /var/tmp is open to every account.
  const account = serverAccount();
  const directory = await mkdtemp(
    join(account ? '/var/tmp' : tmpdir(), 'nest-event-store-pooler-'),
  );
  const configuration = join(directory, 'pgbouncer.ini');
  const users = join(directory, 'users.txt');
  const options = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: mode,
    default_pool_size: poolSize,
    ...settings,
  };
  await writeFile(
    configuration,
    `[databases]\n* = host=${server.hostname} port=${server.port || 5432}\n[pgbouncer]\n` +
      Object.entries(options)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join(''),
    { mode: 0o600 },
  );
  const credentials = [server.username, server.password].map(decodeURIComponent);
  await writeFile(users, `"${credentials.join('" "')}"\n`, { mode: 0o600 });
  if (account) {
    for (const path of [directory, configuration, users])
      await chown(path, account.uid, account.gid);
  }

  const child = spawn('/bin/sh', ['-c', untilLetGo, program!, configuration, directory], {
    ...account,
    stdio: 'pipe',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exit = once(child, 'exit');
  const pooler = {
    url,
    async stop() {
      child.stdin.end();
      await exit;
    },
  };
  try {
    await eventually(async () => (await queryOnce(url, 'SELECT true')) === true);
  } catch (cause) {
    await pooler.stop();
    throw new Error(`PgBouncer does not answer. It has printed:\n${output}`, { cause });
  }
  return pooler;
}

// Reads until the pipe from our process closes; the system closes it however the process ends. The
// pooler keeps no data, and the meaning of its other signals has changed between versions.
const untilLetGo = `
  "$0" "$1" &
  read -r _
  kill -KILL $!
  rm -rf "$2"
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
