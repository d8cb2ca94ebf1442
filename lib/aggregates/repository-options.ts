import { KnownOptions } from '../input/known-options.ts';
import type { AppendOptions, AppendResult } from '../store/appending/append.ts';
import type { SnapshotOptions } from '../store/reading/aggregate-history.ts';

/** Options of a load: `manager` makes it read inside that transaction. */
export type LoadOptions = Pick<SnapshotOptions, 'manager'>;

/** Options of a save: `metadata` for every event, and `manager` to append inside its transaction. */
export type SaveOptions = Pick<AppendOptions, 'metadata' | 'manager'>;

export interface ExecuteOptions extends SaveOptions {
  /** How often to load and to run the work again after a version conflict. @default 3 */
  readonly retries?: number;
  /** The version that the caller has seen; at any other version the work is neither run nor retried. */
  readonly expectedVersion?: number;
  /**
   * Runs the work at most once for this key and aggregate, in any process. If events are already stored
   * with the key, the work is not run, and the result is that of their append, with `duplicate: true`
   * and no `result`. A work that stored no event leaves no trace and runs again.
   */
  readonly idempotencyKey?: string | undefined;
}

export const loadOptions = new KnownOptions<LoadOptions>('load', { manager: true });
const saveNames = { metadata: true, manager: true } as const;
export const saveOptions = new KnownOptions<SaveOptions>('save', saveNames);
export const executeOptions = new KnownOptions<ExecuteOptions>('execute', {
  ...saveNames,
  retries: true,
  expectedVersion: true,
  idempotencyKey: true,
});

/** The result of a save together with what the work returned. */
export interface ExecuteResult<R> extends AppendResult {
  readonly result: R;
}

/**
 * What the work returned; with an idempotency key also `undefined`, if its events were already stored.
 */
export type ResultOf<R, Options> = 'idempotencyKey' extends keyof Options ? R | undefined : R;

export interface AggregateRepositoryOptions {
  /** How many aggregates' histories stay in memory between calls of `execute`; 0 keeps none. */
  readonly cacheSize: number;
  /**
   * Called for failures that must not fail a call, such as a snapshot that was not taken or restored.
   */
  readonly onWarning: (message: string, error?: unknown) => void;
}
