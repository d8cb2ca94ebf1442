/**
 * Runs the specs that the table in README.md names, and prints one line about each fault:
 * `npm run test:faults`, or `npm run test:faults -- F1 F3` for some of them.
 *
 * Every number comes from the specs, which count what they have seen; see `tally`. A spec in parentheses
 * has left no line: it counts nothing, was skipped, or has failed too early.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Counts, TallyLine } from '../support/tally.ts';

const here = import.meta.dirname;
const table = readFileSync(join(here, 'README.md'), 'utf8').matchAll(
  /^\| (F\d+b?) .*?\| (.*?) \|/gm,
);
const named = [...table].map(([, fault, cell]) => ({
  fault: fault!,
  specs: [...cell!.matchAll(/`(.+?)`/g)].map(([, name]) => name!),
}));
for (const each of readdirSync(join(here, 'long'))) {
  const name = `long/${each.replace('.spec.ts', '')}`;
  if (named.some(({ specs }) => specs.includes(name))) continue;
  throw new Error(`Name \`${name}\` in the table of test/faults/README.md: nothing else runs it.`);
}
const wanted = process.argv.slice(2);
const faults = named.filter(({ fault }) => wanted.length === 0 || wanted.includes(fault));
const paths = faults.flatMap(({ specs }) => specs.map((name) => join(here, `${name}.spec.ts`)));

const directory = mkdtempSync(join(tmpdir(), 'nest-event-store-tally-'));
const file = join(directory, 'lines');
writeFileSync(file, '');
// Also those in long/ and in ../timing/.
const options = ['--testPathIgnorePatterns=/node_modules/', '--runTestsByPath'];
const { status } = spawnSync('npm', ['test', '--', ...options, ...new Set(paths)], {
  stdio: 'inherit',
  env: { ...process.env, FAULT_TALLY: file },
});
const lines = readFileSync(file, 'utf8')
  .split('\n')
  .slice(0, -1)
  .map((line) => JSON.parse(line) as TallyLine)
  .map((line) => ({ ...line, spec: relative(here, line.spec).replace('.spec.ts', '') }));
rmSync(directory, { recursive: true });

const rows = faults.map(({ fault, specs }) => {
  const own = lines.filter((line) => line.fault === fault);
  const seen = new Set(own.map(({ spec }) => spec));
  const names = specs.map((name) => (seen.has(name) ? name : `(${name})`)).join(', ');
  if (own.length === 0) return [fault, names, 'not seen', '', '', '', '', ''];
  const numbers = (name: keyof Counts): number[] => own.flatMap((line) => line[name] ?? []);
  const sum = (name: keyof Counts): string =>
    numbers(name).length > 0 ? `${numbers(name).reduce((a, b) => a + b)}` : '–';
  const longest = Math.max(...numbers('recoveryMs'));
  return [
    fault,
    names,
    ...(['runs', 'acknowledged', 'lost', 'doubled', 'skipped'] as const).map(sum),
    longest >= 0 ? (longest / 1_000).toFixed(1) : '–',
  ];
});
const titles = 'fault spec runs acknowledged lost doubled skipped recovery/s'.split(' ');
const widths = titles.map((_, n) => Math.max(...[titles, ...rows].map((row) => row[n]!.length)));
const all = [titles, widths.map((width) => '-'.repeat(width)), ...rows];
for (const row of all) {
  const cells = row.map((cell, n) => (n < 2 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!)));
  console.info(`| ${cells.join(' | ')} |`);
}
process.exitCode = status ?? 1;
