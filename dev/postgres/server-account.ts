import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The account that runs the server if our own must not. */
export interface ServerAccount {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Returns the account to run the server as, or `undefined` for our own.
 *
 * PostgreSQL refuses to run as root, so root runs it as `postgres`, or as `nobody`.
 */
export function serverAccount(): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const name = ['postgres', 'nobody'].find((candidate) => id('-u', candidate) !== undefined);
  const uid = name && id('-u', name);
  const gid = name && id('-g', name);
  if (!uid || !gid) {
    throw new Error(
      'PostgreSQL does not run as root, and there is no account "postgres" or "nobody" to run it ' +
        'as. Use another account, or set DATABASE_URL to a server that runs already.',
    );
  }
  return { uid, gid };
}

/**
 * Returns `directory` if `account` has access to it, otherwise a substitute under /var/tmp.
 *
 * The substitute is usually for a project below a home directory that is closed to others (mode 0700).
 * Permissions are never widened.
 */
export async function reachableDirectory(
  directory: string,
  account: ServerAccount | undefined,
): Promise<string> {
  if (!account || (await isOpenToOthers(dirname(directory)))) return directory;
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 12);
  const standIn = join('/var/tmp', `nest-event-store-${name}`);
  await mkdir(standIn, { recursive: true });
  // Every account may create files in /var/tmp: those of another account must not be run or trusted.
  const { uid } = await lstat(standIn);
  if (uid !== process.getuid?.()) throw new Error(`${standIn} belongs to another user (${uid}).`);
  await chmod(standIn, 0o755);
  return join(standIn, basename(directory));
}

async function isOpenToOthers(directory: string): Promise<boolean> {
  const { mode } = await stat(directory);
  if (!(mode & 0o001)) return false;
  return directory === dirname(directory) || isOpenToOthers(dirname(directory));
}

function id(flag: '-u' | '-g', name: string): number | undefined {
  try {
    return Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return undefined;
  }
}
