import type { Counts } from './counts.ts';

/** Prints counts side by side, one column each, and returns whether they all agree. */
export function printCounts(columns: Readonly<Record<string, Counts>>): boolean {
  const all = Object.values(columns);
  const names = new Set(all.flatMap((counts) => Object.keys(counts)));

  printLine('', Object.keys(columns));
  let agree = true;
  for (const name of names) {
    const values = all.map((counts) => counts[name] ?? 0);
    const same = values.every((value) => value === values[0]);
    agree &&= same;
    const cells = values.map((value) => value.toLocaleString('en'));
    printLine(name, same ? cells : [...cells, 'differs']);
  }
  return agree;
}

function printLine(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(34) + cells.map((cell) => cell.padStart(14)).join(''));
}
