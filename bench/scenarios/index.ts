import type { Scenario } from '../scenario.ts';
import { appendScenarios } from './append.ts';

/** Every scenario, in the order in which they run. */
export const scenarios: readonly Scenario[] = [...appendScenarios];
