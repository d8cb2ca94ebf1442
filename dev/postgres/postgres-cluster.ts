import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join, normalize } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseError } from 'pg';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { queryOnce } from './query-once.ts';
import type { ServerAccount } from './server-account.ts';

export interface RunningServer {
  readonly url: string;
  readonly pid: number;
}

export interface StartOptions {
  /** @default any free port */
  readonly port?: number | undefined;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** One data directory and the server that runs on it. What the programs print goes to `<dataDir>.log`. */
export class PostgresCluster {
  constructor(
    readonly dataDir: string,
    private readonly binaries: PostgresBinaries,
    private readonly account: ServerAccount | undefined,
  ) {}

  /** Makes the data directory if there is none: encoding UTF8, sorted by bytes, no passwords. */
  async create({ durable }: { readonly durable: boolean }): Promise<void> {
    if (existsSync(this.dataDir)) return;
    await mkdir(dirname(this.dataDir), { recursive: true });
    // A half-made data directory is of no use, so it gets its name when it is complete.
    const unfinished = await mkdtemp(`${this.dataDir}-`);
    if (this.account) await chown(unfinished, this.account.uid, this.account.gid);
    const made = await this.run(this.binaries.initdb, [
      `--pgdata=${unfinished}`,
      '--username=postgres',
      '--auth=trust',
      '--encoding=UTF8',
      '--locale=C',
      '--no-instructions',
      ...(durable ? [] : ['--no-sync']),
    ]);
    if (!made) throw await this.failure('could not be created');
    // Another process may have been faster; its cluster is as good as ours.
    await rename(unfinished, this.dataDir).catch(() => rm(unfinished, { recursive: true }));
  }

  /** Starts the server, or finds the one that runs already, and resolves when it answers. */
  async start({ port, settings }: StartOptions): Promise<RunningServer> {
    for (let attempt = 1; attempt <= 3; attempt++) {
      const running = await this.findServer();
      if (running) return running;
      const options = Object.entries({
        port: port ?? (await freePort()),
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        ...settings,
      }).map(([name, value]) => `-c ${name}=${value}`);
      await this.pgCtl('start', '-o', options.join(' '));
    }
    const running = await this.findServer();
    if (!running) throw await this.failure('did not start');
    return running;
  }

  /** Stops the server; open connections are closed, open transactions rolled back. */
  async stop(): Promise<void> {
    await this.pgCtl('stop', '-m', 'fast');
  }

  private async findServer(): Promise<RunningServer | undefined> {
    const pidFile = join(this.dataDir, 'postmaster.pid');
    const [pid, , , port] = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
    if (!pid || !port) return undefined;
    const server = { url: `postgres://postgres@127.0.0.1:${port}/postgres`, pid: Number(pid) };
    if (await this.answers(server)) return server;
    // PostgreSQL only checks that a process with this id exists, which may be another program by now. A
    // server that is alive but cannot answer still holds its shared memory, so no second one starts.
    await rm(pidFile, { force: true });
    return undefined;
  }

  private async answers({ url, pid }: RunningServer): Promise<boolean> {
    for (let waitedMs = 0; isAlive(pid); waitedMs += 100) {
      try {
        return normalize(String(await queryOnce(url, 'SHOW data_directory'))) === this.dataDir;
      } catch (error) {
        const recovering = (error as DatabaseError).code === '57P03';
        if (waitedMs >= (recovering ? 60_000 : 3_000)) return false;
      }
      await delay(100);
    }
    return false;
  }

  private pgCtl(command: 'start' | 'stop', ...options: string[]): Promise<boolean> {
    return this.run(this.binaries.pgCtl, [command, '-w', '-D', this.dataDir, ...options]);
  }

  // Detached, so that Ctrl-C reaches the application only, which then stops the server in good order.
  private async run(program: string, options: string[]): Promise<boolean> {
    const log = await open(`${this.dataDir}.log`, 'a');
    try {
      const child = spawn(program, options, {
        ...this.account,
        cwd: dirname(program),
        detached: true,
        windowsHide: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      return await new Promise((resolve, reject) => {
        child.once('error', reject).once('exit', (code) => resolve(code === 0));
      });
    } finally {
      await log.close();
    }
  }

  private async failure(what: string): Promise<Error> {
    const log = await readFile(`${this.dataDir}.log`, 'utf8');
    const end = log.trimEnd().split('\n').slice(-10).join('\n');
    return new Error(`PostgreSQL in ${this.dataDir} ${what}. Its log ends with:\n${end}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
