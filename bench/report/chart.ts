import type { Results } from '../results.ts';
import type { Scenario } from '../scenario.ts';
import type { Subject } from '../subject.ts';
import { format } from './table.ts';

const width = 760;
const labelWidth = 130;
const valueWidth = 110;
const barHeight = 18;
const titleHeight = 34;
const colours = { ours: '#2f6fde', peer: '#9aa4b2', baseline: '#5b6472', limit: '#c9a227' };

/** Draws every scenario as a group of bars: the median of each subject, with its range as a line. */
export function chart(
  scenarios: readonly Scenario[],
  subjects: readonly Subject[],
  results: Results,
): string {
  let top = 10;
  const groups = scenarios.map((scenario) => {
    const group = drawScenario(scenario, subjects, results, top);
    top += group.height;
    return group.svg;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${top}" fill="#ffffff"/>`,
    ...groups,
    '</svg>\n',
  ].join('\n');
}

function drawScenario(
  scenario: Scenario,
  subjects: readonly Subject[],
  results: Results,
  top: number,
): { readonly svg: string; readonly height: number } {
  const rows = subjects.flatMap(({ name, kind }) => {
    const summary = results.summary(scenario, name);
    return summary ? [{ name, kind, ...summary }] : [];
  });
  if (rows.length === 0) return { svg: '', height: 0 };
  const scale =
    (width - labelWidth - valueWidth) / (Math.max(...rows.map(({ most }) => most)) || 1);
  const title = `${scenario.title} — ${scenario.unit}, ${scenario.better} is better`;
  const lines = rows.map(({ name, kind, value, least, most }, index) => {
    const y = top + titleHeight + index * barHeight;
    const middle = y + barHeight / 2;
    const from = labelWidth + least * scale;
    const to = labelWidth + most * scale;
    return [
      text(labelWidth - 8, middle + 4, name, 'text-anchor="end"'),
      `<rect x="${labelWidth}" y="${y + 2}" width="${round(value * scale)}" height="${barHeight - 4}" fill="${colours[kind]}"/>`,
      `<path d="M${round(from)} ${middle}H${round(to)}" stroke="#1d2430"/>`,
      text(round(to + 8), middle + 4, format(value)),
    ].join('\n');
  });
  return {
    svg: [text(10, top + 20, title, 'font-weight="bold"'), ...lines].join('\n'),
    height: titleHeight + rows.length * barHeight + 12,
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;

const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}" fill="#1d2430" ${attributes}>${content}</text>`;
