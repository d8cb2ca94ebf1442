import type { Verdict } from '../verdict.ts';
import { columns, format } from './table.ts';

/** Lays out what was measured for every bar, and whether it is reached. */
export function barsTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ bar, rival, measured, reached, fallen }) => [
    [bar.scenario, ...(rival ? ['÷', rival, bar.rivalIn ?? ''] : [])].join(' ').trimEnd(),
    bar.atLeast === undefined ? `≤ ${bar.atMost}` : `≥ ${bar.atLeast}`,
    format(measured),
    verdictOf(reached, fallen),
  ]);
  return `Bars of this store\n${columns([['', 'bar', 'measured', ''], ...rows])}`;
}

function verdictOf(reached: boolean, fallen: boolean): string {
  if (reached) return 'reached';
  return fallen ? 'FALLEN BY HALF' : 'not reached';
}
