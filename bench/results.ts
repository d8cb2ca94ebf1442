import type { Measurement, Scenario } from './scenario.ts';

/** The result of one subject in one scenario and one round. */
export interface Result {
  readonly scenario: string;
  readonly subject: string;
  readonly round: number;
  /** Left out if the subject lacks an operation that the scenario needs, or has failed. */
  readonly measurement?: Measurement;
  readonly error?: string;
}

/** A subject's results in one scenario, over all rounds. */
export interface Summary {
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** What else the last round has reported. */
  readonly facts: Readonly<Record<string, number>>;
}

/** The results of a benchmark. */
export class Results {
  readonly all: Result[] = [];

  /** @param poolSizes the connections of each subject, if the run looked for the best number */
  constructor(readonly poolSizes: ReadonlyMap<string, number>) {}

  add(result: Result): void {
    this.all.push(result);
  }

  /** Summarizes the rounds of a subject in a scenario; `undefined` if it has no result. */
  summary({ name, summary, better }: Scenario, subject: string): Summary | undefined {
    const measured = this.#measured(name, subject);
    if (measured.length === 0) return undefined;
    const values = measured.map(({ value }) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const worst = better === 'more' ? least : most;
    const value = summary === 'worst' ? worst : median(values);
    const p50s = measured.flatMap(({ p50Ms }) => p50Ms ?? []);
    const p99s = measured.flatMap(({ p99Ms }) => p99Ms ?? []);
    return {
      value,
      least,
      most,
      ...(p50s.length > 0 && { p50Ms: median(p50s) }),
      ...(p99s.length > 0 && { p99Ms: median(p99s) }),
      facts: measured.at(-1)!.facts ?? {},
    };
  }

  /** Returns the median of one value over another of the same round; `undefined` without a common round. */
  ratio(of: Of, to: Of): number | undefined {
    const ratios = this.#rounds(of).flatMap(([round, value]) => {
      const other = this.#rounds(to).find(([otherRound]) => otherRound === round);
      return other ? [value / other[1]] : [];
    });
    return ratios.length === 0 ? undefined : median(ratios);
  }

  #rounds({ scenario, subject }: Of): (readonly [round: number, value: number])[] {
    return this.all
      .filter((each) => each.scenario === scenario && each.subject === subject)
      .flatMap(({ round, measurement }) => (measurement ? [[round, measurement.value]] : []));
  }

  #measured(scenario: string, subject: string): Measurement[] {
    return this.all
      .filter((each) => each.scenario === scenario && each.subject === subject)
      .flatMap(({ measurement }) => measurement ?? []);
  }
}

/** One cell of the table: a subject in a scenario. */
export interface Of {
  readonly scenario: string;
  readonly subject: string;
}

/** The middle one of the values, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
