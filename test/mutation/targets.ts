/** Files whose mutants have to be noticed, and the specs that ought to notice them. */
export interface Target {
  readonly files: readonly string[];
  /** Run in this order until one fails: the quick and telling ones first. */
  readonly specs: readonly string[];
}

const postgres = (file: string): string => `lib/postgres/${file}.ts`;
const subscriptions = (file: string): string => `lib/subscriptions/${file}.ts`;

export const targets: Readonly<Record<string, Target>> = {
  append: {
    files: [
      'append-queue',
      'append-lines',
      'append-batch',
      'held-appends',
      'appender',
      'append-call',
      'sql/append-events',
    ].map(postgres),
    specs: [
      'integration/transactions',
      'integration/repeated-appends',
      'integration/crafted-appends',
      'contract/postgres',
      'concurrency/append',
      'integration/inline-projections',
      'integration/rights',
      'faults/lost-replies',
    ],
  },
  horizon: {
    files: ['appends-in-flight', 'register-in-flight', 'read-log', 'read-horizon'].map((file) =>
      postgres(`sql/${file}`),
    ),
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
    files: ['runner', 'place', 'delivering', 'failure-handling', 'log-head', 'parked-retry'].map(
      subscriptions,
    ),
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
    files: ['postgres.checkpoint-store', 'sql/checkpoints', 'sql/hold-checkpoints'].map(postgres),
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
    files: ['caller-transactions', 'transaction-scopes', 'turns', 'repeated-transaction'].map(
      postgres,
    ),
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
