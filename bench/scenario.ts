import type { OpenSubject, Subject } from './subject.ts';

/** Events that a database has before a scenario begins, in aggregates of equal length. */
export interface Stored {
  readonly aggregates: number;
  readonly eventsEach: number;
}

/** One question that is put to several subjects, under the same conditions. */
export interface Scenario {
  readonly name: string;
  /** What is measured, as the report names it. */
  readonly title: string;
  readonly unit: 'appends/s' | 'events/s' | 'ms' | 'round trips' | 'MB' | 'events missed';
  readonly better: 'more' | 'less';
  /** The subjects that `npm run bench:quick` measures, by name. @default the scenario is left out there */
  readonly quick?: readonly string[];
  /** The subjects that take part, by name. @default all but those of the kind 'limit' */
  readonly subjects?: readonly string[];
  /** Events that the subject has stored beforehand, through its own `append`. @default none */
  readonly stored?: Stored;
  /** How many processes run it side by side; what they measure is added up. @default 1 */
  readonly processes?: number;
  /** How rounds are summed up: missed events take the worst, because one counts. @default 'median' */
  readonly summary?: 'median' | 'worst';
  /** Runs in a process of its own; returns nothing if the subject lacks an operation that it needs. */
  run(context: ScenarioContext): Promise<Measurement | undefined>;
}

/** Where a scenario runs: one process, one subject, one database of its own. */
export interface ScenarioContext {
  readonly url: string;
  readonly subject: Subject;
  /** How many connections each pool may have. */
  readonly connections: number;
  /** For how long to measure. */
  readonly seconds: number;
  /** Opens the subject; it is closed when the scenario is over. */
  readonly open: () => Promise<OpenSubject>;
  /** Await it between warming up and measuring: all processes of a scenario start at the same moment. */
  readonly ready: () => Promise<void>;
}

/** What a scenario has found in one process. */
export interface Measurement {
  /** In the unit of the scenario. */
  readonly value: number;
  /** How long single calls took, in milliseconds. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Other values to report, by name. */
  readonly facts?: Readonly<Record<string, number>>;
}
