/** Files whose mutants have to be noticed, and the specs that ought to notice them. */
export interface Target {
  readonly files: readonly string[];
  readonly specs: readonly string[];
}

export const targets: Readonly<Record<string, Target>> = {
  append: {
    files: ['append-queue.ts', 'appender.ts', 'append-call.ts', 'sql/append-events.ts'].map(
      (file) => `lib/postgres/${file}`,
    ),
    specs: [
      'contract/postgres',
      'concurrency/append',
      'integration/transactions',
      'integration/inline-projections',
      'integration/rights',
      'faults/lost-replies',
    ],
  },
  horizon: {
    files: ['appends-in-flight', 'register-in-flight', 'read-log', 'read-horizon'].map(
      (file) => `lib/postgres/sql/${file}.ts`,
    ),
    specs: [
      'contract/postgres',
      'concurrency/read-all-order',
      'faults/late-commits',
      'integration/transactions',
      'integration/rights',
      'integration/schema',
    ],
  },
  runner: {
    files: ['runner', 'place', 'delivering', 'failure-handling', 'log-head', 'parked-retry'].map(
      (file) => `lib/subscriptions/${file}.ts`,
    ),
    specs: [
      'unit/subscriptions',
      'integration/consumer',
      'concurrency/consumers',
      'module/durable-handlers',
      'module/projections',
    ],
  },
  checkpoints: {
    files: [
      'lib/postgres/postgres.checkpoint-store.ts',
      'lib/postgres/sql/checkpoints.ts',
      'lib/postgres/sql/hold-checkpoints.ts',
    ],
    specs: ['integration/consumer', 'concurrency/consumers', 'faults/hanging-projections'],
  },
  transactions: {
    files: ['caller-transactions', 'transaction-scopes', 'turns', 'repeated-transaction'].map(
      (file) => `lib/postgres/${file}.ts`,
    ),
    specs: [
      'integration/ending-transactions',
      'integration/repeated-transactions',
      'integration/foreign-connections',
      'integration/transactions',
      'integration/inline-projections',
      'module/event-bus',
    ],
  },
};
