import type { Scenario } from '../scenario.ts';
import { appendScenarios } from './append.ts';
import { grownScenarios } from './grown.ts';
import { loadScenarios } from './load.ts';
import { missed } from './missed.ts';
import { readLog } from './read-log.ts';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  ...appendScenarios,
  ...loadScenarios,
  readLog,
  ...grownScenarios,
  missed,
];
