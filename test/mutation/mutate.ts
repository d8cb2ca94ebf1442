/**
 * Changes the code a little, one change at a time, and prints what no spec has noticed:
 * `npm run mutate -- append horizon --sample 40 --seed 7`.
 *
 * By hand, as it takes hours: a mutant that survives costs a run of all specs of its target. Survivors
 * are either a missing test, or harmless for a reason that test/mutation/README.md names.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../dev/postgres/embedded-postgres.ts';
import { random } from '../support/random.ts';
import { type Mutant, mutantsOf } from './mutants.ts';
import { runSpec, type SpecRun } from './spec-run.ts';
import { targets } from './targets.ts';

/** A spec, and how long it may take. */
interface LimitedSpec {
  readonly spec: string;
  readonly limitMs: number;
}

/** The word that is printed for a mutant, by how the specs ended. */
const lineOf = { passed: 'SURVIVED', failed: 'killed', 'timed-out': 'killed by time' };
const root = join(import.meta.dirname, '../..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '1' },
    limit: { type: 'string' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(targets);

const directory = mkdtempSync(join(tmpdir(), 'nest-event-store-mutants-'));
const server = await startEmbeddedPostgres({
  durable: false,
  settings: { max_connections: 300, max_prepared_transactions: 10 },
});
process.env['DATABASE_URL'] = server.url;
try {
  copyProject();
  for (const name of names) await mutateTarget(name);
} finally {
  rmSync(directory, { recursive: true, force: true });
  await server.stop();
}

/** Copies what the specs need; the mutants are written there. */
function copyProject(): void {
  const parts = [
    'lib',
    'test',
    'sample-app',
    'dev',
    'package.json',
    'jest.config.js',
    'tsconfig.json',
  ];
  for (const part of parts) cpSync(join(root, part), join(directory, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
}

async function mutateTarget(name: string): Promise<void> {
  const { files, specs } = targets[name]!;
  const limited: LimitedSpec[] = [];
  for (const spec of specs) limited.push({ spec, limitMs: await limitOf(spec) });
  const all = files.flatMap((file) =>
    mutantsOf(file, readFileSync(join(directory, file), 'utf8')).map((mutant) => ({
      file,
      mutant,
    })),
  );
  const choices = random(Number(values.seed));
  const chosen = all
    .map((each) => ({ each, rank: choices.next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, Number(values.sample))
    .slice(Number(values.from) - 1);
  const counts = { passed: 0, failed: 0, 'timed-out': 0 };
  for (const next of chosen) {
    const { each } = next;
    const run = await firstToNotice(each.file, each.mutant, limited);
    counts[run.outcome] += 1;
    console.log(
      `${chosen.indexOf(next) + Number(values.from)}. ${lineOf[run.outcome]}: ${describe(each.file, each.mutant)}`,
    );
    if (run.outcome !== 'passed') console.log(`  by ${run.spec} › ${run.test}`);
  }
  const killed = chosen.length - counts.passed;
  const share = ((100 * killed) / chosen.length).toFixed(1);
  console.log(
    `${name}: ${killed} of ${chosen.length} killed (${share} %), ${counts['timed-out']} of these by time;` +
      ` ${all.length} mutants, seed ${values.seed}.`,
  );
}

/** Runs a spec without any mutant, unless a limit is given for all. */
async function limitOf(spec: string): Promise<number> {
  if (values.limit) return Number(values.limit) * 1_000;
  const { outcome, test, ms } = await runSpec(directory, spec, 600_000);
  if (outcome !== 'passed') throw new Error(`'${spec}' fails without any mutant: ${test}`);
  console.log(`${spec}: ${(ms / 1_000).toFixed(0)} s`);
  return ms * 3 + 60_000;
}

/** Runs the specs one after the other, until one of them notices the mutant. */
async function firstToNotice(
  file: string,
  { start, end, replacement }: Mutant,
  specs: readonly LimitedSpec[],
): Promise<SpecRun & { readonly spec: string }> {
  const path = join(directory, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, start) + replacement + text.slice(end));
  try {
    for (const { spec, limitMs } of specs) {
      const run = await runSpec(directory, spec, limitMs);
      if (run.outcome !== 'passed') return { ...run, spec };
    }
    return { outcome: 'passed', test: '', ms: 0, spec: '' };
  } finally {
    writeFileSync(path, text);
  }
}

function describe(file: string, { line, original, replacement }: Mutant): string {
  const short = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, 70);
  return `${file}:${line} ${short(original)} → ${short(replacement) || '(nothing)'}`;
}
