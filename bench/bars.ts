/** What a bar compares with: a subject by its name, or the best of the peers that were measured. */
export type Rival = 'raw' | 'unnest' | 'ours' | 'fastest peer' | 'fastest peer with a global order';

/**
 * A goal of this store, as a ratio within one run: its value in `scenario` divided by the value of the
 * rival, in the same scenario or in another one. Without a rival, the goal is for the value itself.
 */
export interface Bar {
  readonly scenario: string;
  readonly rival?: Rival;
  /** The scenario in which the rival is measured. @default `scenario` */
  readonly rivalIn?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** What a quiet machine measures if the bar is not reached; the quick run guards this value. */
  readonly usual?: number;
}

/** Every bar, in the order of the report. */
export const bars: readonly Bar[] = [
  { scenario: 'one-writer', rival: 'raw', atLeast: 0.7, usual: 0.51 },
  { scenario: 'one-writer', rival: 'fastest peer', atLeast: 1 },
  { scenario: 'callers-64', rival: 'fastest peer with a global order', atLeast: 5 },
  { scenario: 'callers-64', rival: 'fastest peer', atLeast: 3 },
  { scenario: 'callers-64', rival: 'raw', atLeast: 1.1 },
  { scenario: 'callers-256-by-5', rival: 'unnest', rivalIn: 'bulk', atLeast: 0.7, usual: 0.49 },
  { scenario: 'hot-aggregate', rival: 'ours', rivalIn: 'callers-64', atLeast: 0.5 },
  { scenario: 'processes-4', rival: 'fastest peer with a global order', atLeast: 3 },
  { scenario: 'callers-16-by-25', rival: 'fastest peer', atLeast: 2 },
  { scenario: 'load-500', rival: 'raw', atMost: 1.15, usual: 1.8 },
  { scenario: 'load-500', rival: 'fastest peer', atMost: 1 },
  { scenario: 'execute-cached', atMost: 1.1, usual: 1.6 },
  { scenario: 'read-log', rival: 'raw', atLeast: 0.75, usual: 0.51 },
  { scenario: 'read-log', rival: 'fastest peer', atLeast: 1 },
  { scenario: 'project-set-based', rival: 'ours', rivalIn: 'read-log', atLeast: 0.5, usual: 0.45 },
  { scenario: 'project-set-based', rival: 'ours', rivalIn: 'project-one-by-one', atLeast: 10 },
  { scenario: 'lag-committed', atMost: 50 },
  { scenario: 'append-at-1000000', rival: 'ours', rivalIn: 'append-at-10000', atMost: 1.2 },
  { scenario: 'load-at-1000000', rival: 'ours', rivalIn: 'load-at-10000', atMost: 1.2 },
  { scenario: 'memory', atMost: 60 },
  { scenario: 'missed', atMost: 0 },
];
