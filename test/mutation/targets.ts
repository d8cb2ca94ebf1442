/** Files whose mutants have to be noticed, and the specs that ought to notice them. */
export interface Target {
  readonly files: readonly string[];
  /** Run in this order until one fails: the quick and telling ones first. */
  readonly specs: readonly string[];
}

const postgres = (file: string): string => `lib/postgres/${file}.ts`;
const running = (file: string): string => `lib/subscriptions/running/${file}.ts`;

export const targets: Readonly<Record<string, Target>> = {
  append: {
    files: [
      'store/appending/append-queue',
      'store/appending/append-lines',
      'store/appending/append-batch',
      'store/appending/held-appends',
      'store/appending/appender',
      'store/appending/append-results',
      'store/appending/append-call',
      'schema/functions/append-events.sql',
      'schema/fragments/check-append-call.sql',
      'schema/fragments/lock-rows.sql',
    ].map(postgres),
    specs: [
      'unit/postgres/store',
      'integration/transactions',
      'integration/repeated-appends',
      'integration/crafted-appends',
      'contract/postgres',
      'concurrency/append',
      'concurrency/held-aggregates',
      'integration/inline-projections',
      'module/event-bus/transactions',
      'integration/rights',
      'faults/lost-replies',
    ],
  },
  horizon: {
    files: [
      'schema/fragments/appends-in-flight.sql',
      'schema/fragments/register-in-flight.sql',
      'schema/functions/read-log.sql',
      'store/reading/read-horizon.sql',
    ].map(postgres),
    specs: [
      'integration/transactions',
      'faults/late-commits',
      'integration/bounded-reads',
      'contract/postgres',
      'integration/schema',
      'concurrency/read-all-order',
    ],
  },
  runner: {
    files: [
      ...['runner', 'page-reader', 'page-delivery', 'deliver-slice', 'checkpoint-cursor'],
      ...['failure-handling', 'generation-change', 'log-head', 'parked-retry'],
    ].map(running),
    specs: [
      'unit/subscriptions',
      'integration/consumers',
      'integration/consumer-control',
      'module/durable-handlers',
      'module/projections',
      'module/split-events',
      'concurrency/consumers-late-answers',
      'concurrency/consumers-history',
    ],
  },
  checkpoints: {
    files: [
      'subscriptions/postgres.checkpoint-store',
      'subscriptions/checkpoint-transactions',
      'subscriptions/checkpoints.sql',
      'schema/functions/hold-checkpoints.sql',
    ].map(postgres),
    specs: [
      'integration/checkpoints',
      'concurrency/consumers-late-answers',
      'integration/leases',
      'integration/consumer-control',
      'integration/consumers',
      'faults/hanging-projections',
      'concurrency/consumers-takeover',
    ],
  },
  transactions: {
    files: [
      'store/appending/commit-reports',
      'connection/transactions/transaction-scopes',
      'connection/transactions/turns',
      'connection/transactions/repeated-transaction',
    ].map(postgres),
    specs: [
      'integration/ending-transactions',
      'integration/transactions',
      'integration/repeated-transactions',
      'integration/foreign-connections',
      'module/event-bus',
      'integration/inline-projections',
    ],
  },
};
