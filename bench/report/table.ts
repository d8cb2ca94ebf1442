import type { Results, Summary } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import type { Subject } from '../subject.ts';

/** Lays out one scenario as a table: median, least and most, latencies, and the ratio to raw. */
export function scenarioTable(
  scenario: Scenario,
  subjects: readonly Subject[],
  results: Results,
): string {
  const rows = subjects.flatMap(({ name }) => {
    const summary = results.summary(scenario, name);
    if (summary) return [[name, ...cells(scenario, name, summary, results)]];
    const tried = results.all.find(
      (each) => each.scenario === scenario.name && each.subject === name,
    );
    return tried ? [[name, tried.error ? 'failed' : 'not offered']] : [];
  });
  const header = ['', scenario.unit, 'from – to', 'p50 ms', 'p99 ms', '× raw', ''];
  return `${scenario.title} (${scenario.name})\n${columns([header, ...rows])}`;
}

function cells(scenario: Scenario, subject: string, summary: Summary, results: Results): string[] {
  const { value, least, most, p50Ms, p99Ms, facts } = summary;
  const ratio = results.ratio(
    { scenario: scenario.name, subject },
    { scenario: scenario.name, subject: 'raw' },
  );
  return [
    format(value),
    least === most ? '' : `${format(least)} – ${format(most)}`,
    p50Ms === undefined ? '' : format(p50Ms),
    p99Ms === undefined ? '' : format(p99Ms),
    ratio === undefined || !Number.isFinite(ratio) ? '' : ratio.toFixed(2),
    Object.entries(facts)
      .map(([name, fact]) => `${name}: ${format(fact)}`)
      .join(', '),
  ];
}

/** Formats a number with its significant digits only. */
export function format(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100)
    return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

/** Lays out rows in columns; the first one to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    }
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!)))
      .join('  ');
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}
