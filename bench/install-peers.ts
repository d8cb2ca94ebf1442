import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const directory = fileURLToPath(new URL('.', import.meta.url));

/** Installs the stores to compare with, unless they are installed. Continues without those that fail. */
export function installPeers(): void {
  if (existsSync(`${directory}/node_modules`)) return;
  console.log('Installing the stores to compare with …');
  const { status } = spawnSync('npm', ['ci', '--prefix', '.', '--no-audit', '--no-fund'], {
    cwd: directory,
    stdio: 'inherit',
    // On Windows npm is a script.
    shell: process.platform === 'win32',
  });
  if (status !== 0)
    console.log('They could not be installed; the benchmark continues without them.');
}
