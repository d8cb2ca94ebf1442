import { nearestName } from '../events/nearest-name.ts';
import { exponentialBackoff, type RetryPolicy } from './retry-policy.ts';

/** What becomes of an event that keeps failing: stop there, leave it out, or set its aggregate aside. */
export type FailurePolicy = 'stop' | 'skip' | 'park';

/** How a consumer follows the log; every field may be left out. */
export interface ConsumerOptions {
  /** The name of the store to follow. @default 'default' */
  readonly store?: string;
  /** Only events of aggregates of these types. @default those of all aggregates */
  readonly aggregateTypes?: readonly string[];
  /** Where a consumer that is new begins: before the first event, or behind the last one. */
  readonly from?: 'start' | 'now';
  /** How many parts, split by aggregate, may run at the same time, over all processes. @default 1 */
  readonly partitions?: number;
  /** The most events of one batch. @default 500 */
  readonly batchSize?: number;
  /** Milliseconds after which one call of a handler counts as failed. @default 30000 */
  readonly timeoutMs?: number;
  /** When an event that failed is tried again. @default exponentialBackoff() */
  readonly retry?: RetryPolicy;
  /** What happens when `retry` gives up. @default 'stop' */
  readonly onFailure?: FailurePolicy;
}

export type ConsumerSettings = Required<Omit<ConsumerOptions, 'aggregateTypes'>> & {
  readonly aggregateTypes: readonly string[] | undefined;
};

type Rule = readonly [accepts: (value: unknown) => boolean, wanted: string];

const wholeNumber = (min: number, max: number): Rule => [
  (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  `a whole number from ${min} to ${max}`,
];

const rules: Record<keyof ConsumerOptions, Rule> = {
  store: [(value) => typeof value === 'string' && value !== '', 'the name of a store'],
  aggregateTypes: [
    (value) =>
      Array.isArray(value) && value.length > 0 && value.every((type) => typeof type === 'string'),
    'a list of at least one aggregate type',
  ],
  from: [(value) => value === 'start' || value === 'now', "'start' or 'now'"],
  partitions: wholeNumber(1, 256),
  batchSize: wholeNumber(1, 10_000),
  timeoutMs: wholeNumber(1, 2 ** 31 - 1),
  retry: [
    (value) => typeof (value as RetryPolicy | null)?.delayMs === 'function',
    'a RetryPolicy, such as exponentialBackoff()',
  ],
  onFailure: [
    (value) => ['stop', 'skip', 'park'].includes(value as string),
    "'stop', 'skip' or 'park'",
  ],
};

/** Checks options and fills in the defaults; `where` begins each fault, such as a class's name. */
export function resolveConsumerOptions(
  where: string,
  given: ConsumerOptions,
  defaultFrom: 'start' | 'now',
): { readonly settings: ConsumerSettings; readonly faults: readonly string[] } {
  const settings: Record<string, unknown> = {
    store: 'default',
    aggregateTypes: undefined,
    from: defaultFrom,
    partitions: 1,
    batchSize: 500,
    timeoutMs: 30_000,
    retry: exponentialBackoff(),
    onFailure: 'stop',
  };
  const faults: string[] = [];
  for (const [key, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, key) ? rules[key as keyof ConsumerOptions] : undefined;
    if (!rule) {
      const meant = nearestName(key, Object.keys(rules));
      faults.push(
        `${where}: there is no option '${key}'${meant ? `; did you mean '${meant}'?` : '. Remove it.'}`,
      );
    } else if (value !== undefined) {
      const [accepts, wanted] = rule;
      if (accepts(value)) settings[key] = value;
      else faults.push(`${where}: the option '${key}' must be ${wanted}.`);
    }
  }
  return { settings: settings as unknown as ConsumerSettings, faults };
}
