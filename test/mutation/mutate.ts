/**
 * Changes the code a little, one change at a time, and prints what no spec has noticed:
 * `npm run mutate -- append horizon --sample 40 --seed 7`.
 *
 * By hand, as it takes hours: every mutant costs a run of the specs of its target. Survivors are either
 * a missing test, or harmless for a reason that test/mutation/README.md names.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../sample-app/database/embedded-postgres.ts';
import { random } from '../support/random.ts';
import { type Mutant, mutantsOf } from './mutants.ts';
import { targets } from './targets.ts';

const root = join(import.meta.dirname, '../..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(targets);

/** Copies what the specs need; the mutants are written there. */
function copyProject(): string {
  const directory = mkdtempSync(join(tmpdir(), 'nest-event-store-mutants-'));
  const parts = ['lib', 'test', 'sample-app', 'package.json', 'jest.config.js', 'tsconfig.json'];
  for (const part of parts) cpSync(join(root, part), join(directory, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  return directory;
}

/** Runs specs until the first failure; resolves with whether all of them passed in time. */
function passes(directory: string, specs: readonly string[], timeoutMs: number): Promise<boolean> {
  const options = ['--bail', '-i', '--forceExit', '--silent', '--cacheDirectory=.jest'];
  const child = spawn('npm', ['test', '--', ...options, ...specs], {
    cwd: directory,
    stdio: 'ignore',
    detached: true,
  });
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), timeoutMs);
  return new Promise((resolve) => {
    child.on('exit', (status) => {
      clearTimeout(timer);
      resolve(status === 0);
    });
  });
}

const server = await startEmbeddedPostgres({
  durable: false,
  settings: { max_connections: 300, max_prepared_transactions: 10 },
});
process.env['DATABASE_URL'] = server.url;
const directories = Array.from({ length: Number(values.workers) }, copyProject);
const choices = random(Number(values.seed));
try {
  for (const name of names) {
    const { files, specs } = targets[name]!;
    const startedAt = performance.now();
    if (!(await passes(directories[0]!, specs, 1_800_000))) {
      throw new Error(`The specs of '${name}' fail without any mutant.`);
    }
    const timeoutMs = (performance.now() - startedAt) * 3 + 60_000;
    const all = files.flatMap((file) =>
      mutantsOf(file, readFileSync(join(root, file), 'utf8')).map((mutant) => ({ file, mutant })),
    );
    const chosen = all
      .map((each) => ({ each, rank: choices.next() }))
      .toSorted((a, b) => a.rank - b.rank)
      .slice(0, Number(values.sample))
      .map(({ each }) => each);
    const survivors: string[] = [];
    let done = 0;
    const work = async (directory: string): Promise<void> => {
      for (let next = chosen.pop(); next; next = chosen.pop()) {
        if (await survives(directory, next.file, next.mutant, specs, timeoutMs)) {
          survivors.push(describe(next.file, next.mutant));
          console.log(`survived: ${survivors.at(-1)}`);
        }
        done += 1;
      }
    };
    await Promise.all(directories.map(work));
    const killed = done - survivors.length;
    const share = ((100 * killed) / done).toFixed(1);
    console.log(`${name}: ${killed} of ${done} killed (${share} %), of ${all.length} mutants.`);
  }
} finally {
  for (const each of directories) rmSync(each, { recursive: true, force: true });
  await server.stop();
}

async function survives(
  directory: string,
  file: string,
  { start, end, replacement }: Mutant,
  specs: readonly string[],
  timeoutMs: number,
): Promise<boolean> {
  const path = join(directory, file);
  const text = readFileSync(join(root, file), 'utf8');
  writeFileSync(path, text.slice(0, start) + replacement + text.slice(end));
  try {
    return await passes(directory, specs, timeoutMs);
  } finally {
    writeFileSync(path, text);
  }
}

function describe(file: string, { line, original, replacement }: Mutant): string {
  const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 70);
  return `${file}:${line} ${short(original)} → ${short(replacement) || '(nothing)'}`;
}
