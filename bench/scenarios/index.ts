import type { Scenario } from '../scenario.ts';
import { appendScenarios } from './append.ts';
import { catchUpScenarios } from './catch-up.ts';
import { grownScenarios } from './grown.ts';
import { lagScenarios } from './lag.ts';
import { loadScenarios } from './load.ts';
import { memory } from './memory.ts';
import { missed } from './missed.ts';
import { readLog } from './read-log.ts';
import { repositoryScenarios } from './repository.ts';
import { startUpScenarios } from './start-up.ts';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [
  ...appendScenarios,
  ...loadScenarios,
  ...repositoryScenarios,
  readLog,
  ...catchUpScenarios,
  ...lagScenarios,
  ...grownScenarios,
  memory,
  missed,
  ...startUpScenarios,
];
