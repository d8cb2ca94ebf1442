import { sharedStoreRules, type StoreOptions } from '../store/store-options.ts';
import type { EntityManager } from 'typeorm';
import type { EventBusMode } from '../event-bus/event-bus-bridge.ts';
import type { EventCodec } from '../events/payload/event-codec.ts';
import { JsonCodec } from '../events/payload/json.codec.ts';
import {
  aFunction,
  applyRules,
  flag,
  oneOf,
  type OptionRule,
  wholeNumber,
} from '../input/option-rules.ts';
import type { PoolerMode } from '../postgres/connection/checks/session-check.ts';
import { schemaNameRule } from '../postgres/schema/schema-name.ts';

/** What happens at boot if the schema is not up to date. */
export type MigrationsMode = 'run' | 'check' | 'off';

/** How the store behaves; every field may be left out. */
export interface EventStoreOptions {
  /** The PostgreSQL schema that holds the store's tables. @default 'event_store' */
  readonly schema?: string;
  /**
   * At boot, `'run'` brings the schema up to date, `'check'` refuses to start if it is not and says
   * what to run, and `'off'` does not look. @default 'run'
   */
  readonly migrations?: MigrationsMode;
  /** How payloads and snapshots are stored. @default new JsonCodec() */
  readonly codec?: EventCodec;
  /**
   * Which events are published on the `EventBus`: those appended by this process, those of every
   * process from now on, or none. @default 'own'
   */
  readonly eventBus?: EventBusMode;
  /**
   * Which projections and durable handlers this process runs: all, none, or those listed. Inline
   * projections run in every process that appends. @default true
   */
  readonly autoStart?: boolean | readonly string[];
  /**
   * How long until another process takes over the consumers of a process that no longer answers, in
   * milliseconds. @default 10000
   */
  readonly leaseMs?: number;
  /**
   * Which pooler is between this process and the server. `'transaction'` is a pooler that may give its
   * clients another session for each transaction, such as PgBouncer in transaction mode. With it there
   * is no LISTEN, so consumers find appends of other processes after `pollIntervalMs`, and there are no
   * prepared statements. `'none'` also fits a pooler in session mode. @default 'none'
   */
  readonly pooler?: PoolerMode;
  /**
   * Whether each connection prepares its statements, by name. Combine `true` with
   * `pooler: 'transaction'` only if the pooler keeps prepared statements apart, as PgBouncer does
   * from 1.21 on with `max_prepared_statements`.
   * @default pooler === 'none'
   */
  readonly preparedStatements?: boolean;
  /** How often to poll for appends that no notification announced, in milliseconds. @default 500 */
  readonly pollIntervalMs?: number;
  /** The largest size of one event in bytes, metadata included. @default 1048576 */
  readonly maxEventBytes?: number;
  /** How deep payloads, metadata and snapshots may nest. @default 200 */
  readonly maxDepth?: number;
  /** The most events that one call of `append` or `appendAll` may have. @default 10000 */
  readonly maxAppendEvents?: number;
  /**
   * The most calls of `append` and `appendAll` that may wait in this process before
   * `StoreOverloadedError`. @default 10000
   */
  readonly maxQueuedAppends?: number;
  /**
   * How long an append, a snapshot or a removal waits for an aggregate that another transaction holds,
   * in ms. @default 5000
   */
  readonly lockTimeoutMs?: number;
  /**
   * For how many aggregates each repository keeps the history for `execute`; 0 for none. @default 1000
   */
  readonly aggregateCacheSize?: number;
  /** Whether `removeEvents` may remove anything. @default false */
  readonly allowRemoval?: boolean;
  /**
   * Whether every event is stored with a hash of its content and of the previous hash in its aggregate,
   * for `EventLogVerifier`. Once on, it stays on for every writer, even if this option is later false.
   * @default false
   */
  readonly hashChain?: boolean;
  /**
   * Returns the manager of the ambient transaction, so that calls join it: for example
   * `() => txHost.tx` with `@nestjs-cls/transactional`. A manager without an open transaction, or
   * `undefined`, means there is none. @default there is no ambient transaction
   */
  readonly transactionManager?: () => EntityManager | undefined;
}

export type ResolvedOptions = Required<EventStoreOptions>;

type IndependentOption = Exclude<keyof EventStoreOptions, 'preparedStatements'>;

const defaults: EventStoreOptions & Pick<ResolvedOptions, IndependentOption> = {
  schema: 'event_store',
  migrations: 'run',
  codec: new JsonCodec(),
  eventBus: 'own',
  autoStart: true,
  leaseMs: 10_000,
  pooler: 'none',
  pollIntervalMs: 500,
  maxEventBytes: 1_048_576,
  maxDepth: 200,
  maxAppendEvents: 10_000,
  maxQueuedAppends: 10_000,
  lockTimeoutMs: 5_000,
  aggregateCacheSize: 1_000,
  allowRemoval: false,
  hashChain: false,
  transactionManager: () => undefined,
};

const maxTimerMs = 2 ** 31 - 1;
const rules: Record<keyof EventStoreOptions, OptionRule> = {
  schema: schemaNameRule,
  migrations: oneOf('run', 'check', 'off'),
  codec: sharedStoreRules.codec,
  eventBus: oneOf('own', 'all', 'off'),
  autoStart: [
    (value) =>
      typeof value === 'boolean' ||
      (Array.isArray(value) && value.every((name) => typeof name === 'string')),
    'true, false or a list of names of consumers',
  ],
  leaseMs: wholeNumber(100, 3_600_000),
  pooler: oneOf('none', 'transaction'),
  preparedStatements: flag,
  pollIntervalMs: wholeNumber(10, maxTimerMs),
  maxEventBytes: sharedStoreRules.maxEventBytes,
  maxDepth: sharedStoreRules.maxDepth,
  maxAppendEvents: sharedStoreRules.maxAppendEvents,
  maxQueuedAppends: wholeNumber(1, 10_000_000),
  lockTimeoutMs: wholeNumber(1, maxTimerMs),
  aggregateCacheSize: wholeNumber(0, 100_000_000),
  allowRemoval: sharedStoreRules.allowRemoval,
  hashChain: flag,
  transactionManager: aFunction,
};

export const eventStoreOptionNames: readonly string[] = Object.keys(rules);

/** The options with their defaults, and the problems of the given options. */
export interface OptionsResolution {
  readonly options: ResolvedOptions;
  readonly problems: readonly string[];
}

/** Returns the options that a store needs wherever it keeps its events. */
export const storeOptionsOf = ({
  codec,
  maxEventBytes,
  maxDepth,
  maxAppendEvents,
  allowRemoval,
}: ResolvedOptions): StoreOptions => ({
  codec,
  maxEventBytes,
  maxDepth,
  maxAppendEvents,
  allowRemoval,
});

/** Checks all given options at once and fills in the defaults. */
export function resolveOptions(given: EventStoreOptions = {}): OptionsResolution {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const problem = 'The options must be an object; leave them out for the defaults.';
    return { options: resolved(defaults), problems: [problem] };
  }
  const { options, problems } = applyRules(rules, defaults, given, 'EventStoreModule', [
    'store',
    'dataSource',
  ]);
  return { options: resolved(options), problems };
}

const resolved = (options: typeof defaults): ResolvedOptions => ({
  ...options,
  preparedStatements: options.preparedStatements ?? options.pooler === 'none',
});
