import { applyRules, oneOf, type OptionRule, wholeNumber } from '../input/option-rules.ts';
import { exponentialBackoff, type RetryPolicy } from './retry-policy.ts';

/**
 * What happens with an event that keeps failing: the consumer stops, skips it, or parks its aggregate.
 */
export type FailurePolicy = 'stop' | 'skip' | 'park';

/** How a consumer follows the log; every field may be left out. */
export interface ConsumerOptions {
  /** The name of the store to follow. @default 'default' */
  readonly store?: string;
  /** The consumer receives only events of aggregates of these types. @default those of all aggregates */
  readonly aggregateTypes?: readonly string[];
  /**
   * Where a new consumer begins: before the first event, or after the last one. "Now" is the start of
   * the application: events that its modules append while it starts count as later.
   *
   * @default 'start' for a projection, 'now' for a handler or a saga
   */
  readonly from?: 'start' | 'now';
  /** How many partitions, split by aggregate, may run in parallel over all processes. @default 1 */
  readonly partitions?: number;
  /** The most events of one batch. @default 1000 */
  readonly batchSize?: number;
  /** How long one call of a handler may take before it counts as failed, in ms. @default 30000 */
  readonly timeoutMs?: number;
  /** When a failed event is tried again. @default exponentialBackoff() */
  readonly retry?: RetryPolicy;
  /** What happens once `retry` gives up. @default 'stop' */
  readonly onFailure?: FailurePolicy;
}

export type ConsumerSettings = Required<Omit<ConsumerOptions, 'aggregateTypes'>> & {
  readonly aggregateTypes: readonly string[] | undefined;
};

const rules: Record<keyof ConsumerOptions, OptionRule> = {
  store: [(value) => typeof value === 'string' && value !== '', 'the name of a store'],
  aggregateTypes: [
    (value) =>
      Array.isArray(value) && value.length > 0 && value.every((type) => typeof type === 'string'),
    'a list of at least one aggregate type',
  ],
  from: oneOf('start', 'now'),
  partitions: wholeNumber(1, 256),
  batchSize: wholeNumber(1, 10_000),
  timeoutMs: wholeNumber(1, 2 ** 31 - 1),
  retry: [
    (value) => typeof (value as RetryPolicy | null)?.delayMs === 'function',
    'a RetryPolicy, such as exponentialBackoff()',
  ],
  onFailure: oneOf('stop', 'skip', 'park'),
};

export const consumerOptionNames: readonly string[] = Object.keys(rules);

/** Checks options and fills in the defaults; `where` begins each problem, such as a class's name. */
export function resolveConsumerOptions(
  where: string,
  given: ConsumerOptions,
  defaultFrom: 'start' | 'now',
): { readonly settings: ConsumerSettings; readonly problems: readonly string[] } {
  const defaults: ConsumerSettings = {
    store: 'default',
    aggregateTypes: undefined,
    from: defaultFrom,
    partitions: 1,
    batchSize: 1_000,
    timeoutMs: 30_000,
    retry: exponentialBackoff(),
    onFailure: 'stop',
  };
  const { options, problems } = applyRules(rules, defaults, given);
  return { settings: options, problems: problems.map((problem) => `${where}: ${problem}`) };
}
