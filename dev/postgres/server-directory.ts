import { spawn } from 'node:child_process';
import { chown, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { platform, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { reachableDirectory, type ServerAccount } from './server-account.ts';

/** Where a server keeps its data, and how that is removed in the end. */
export interface ServerDirectory {
  readonly dataDir: string;
  /** Removes the directory if it is a temporary one; call it when the server has stopped. */
  remove(): Promise<void>;
}

/** Keeps the data in `dataDir`, or in a substitute that the server's account has access to. */
export async function keptDirectory(
  dataDir: string,
  account?: ServerAccount,
): Promise<ServerDirectory> {
  const parent = dirname(resolve(dataDir));
  await mkdir(parent, { recursive: true });
  return {
    dataDir: await reachableDirectory(join(await realpath(parent), basename(dataDir)), account),
    remove: async () => {},
  };
}

/**
 * Makes a directory for a server that ends with this process.
 *
 * If the process is killed, a small shell stops the server and removes the directory; on Windows
 * both stay.
 */
export async function temporaryDirectory(account?: ServerAccount): Promise<ServerDirectory> {
  // The temporary directory of root may be closed to the server's account; /var/tmp is open to all.
  const parent = await realpath(account ? '/var/tmp' : tmpdir());
  const directory = await mkdtemp(join(parent, 'nest-event-store-'));
  if (account) await chown(directory, account.uid, account.gid);
  const cleanUp = platform() === 'win32' ? undefined : cleanUpWhenKilled(directory);
  return {
    dataDir: join(directory, 'pg'),
    async remove() {
      cleanUp?.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function cleanUpWhenKilled(directory: string) {
  // Reads until the pipe from our process closes; the system closes it however the process ends.
  const script = `
    read -r _
    kill -QUIT "$(head -n 1 "$0/pg/postmaster.pid")" && sleep 1
    rm -rf "$0"
  `;
  const shell = spawn('/bin/sh', ['-c', script, directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  (shell.stdin as Socket).unref();
  return shell;
}
