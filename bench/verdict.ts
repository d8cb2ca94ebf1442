import { bars, type Bar, type Rival } from './bars.ts';
import type { Of, Results } from './results.ts';
import type { Scenario } from './scenario.ts';
import type { Subject } from './subject.ts';

/** What was measured for a bar. */
export interface Verdict {
  readonly bar: Bar;
  /** The peer that the rival turned out to be, or the name of the bar. */
  readonly rival: string | undefined;
  readonly measured: number;
  readonly reached: boolean;
  /** Worse than half of the bar, or of the usual value if the bar is not reached: more than noise. */
  readonly fallen: boolean;
}

/** Compares the results with every bar whose two sides were measured. */
export function judge(
  results: Results,
  scenarios: readonly Scenario[],
  subjects: readonly Subject[],
): Verdict[] {
  return bars.flatMap((bar) => {
    const scenario = scenarios.find(({ name }) => name === bar.scenario);
    const rivalIn = scenarios.find(({ name }) => name === (bar.rivalIn ?? bar.scenario));
    if (!scenario || !rivalIn) return [];
    const rival = bar.rival && findRival(bar.rival, rivalIn, results, subjects);
    const measured = rival
      ? results.ratio(ours(scenario), { scenario: rivalIn.name, subject: rival })
      : results.summary(scenario, 'ours')?.value;
    // Without a peer there is nothing to compare with.
    if (measured === undefined || (bar.rival && !rival)) return [];
    const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY, usual } = bar;
    return {
      bar,
      rival,
      measured,
      reached: measured >= atLeast && measured <= atMost,
      fallen:
        measured < Math.min(atLeast, usual ?? atLeast) / 2 ||
        measured > Math.max(atMost, usual ?? atMost) * 2,
    };
  });
}

const ours = ({ name }: Scenario): Of => ({ scenario: name, subject: 'ours' });

function findRival(
  rival: Rival,
  scenario: Scenario,
  results: Results,
  subjects: readonly Subject[],
): string | undefined {
  if (!rival.startsWith('fastest peer')) return rival;
  const peers = subjects
    .filter(
      ({ kind, hasGlobalOrder }) => kind === 'peer' && (hasGlobalOrder || rival === 'fastest peer'),
    )
    .flatMap(({ name }) => {
      const value = results.summary(scenario, name)?.value;
      return value === undefined ? [] : { name, value };
    })
    .sort((a, b) => (scenario.better === 'more' ? b.value - a.value : a.value - b.value));
  return peers[0]?.name;
}
