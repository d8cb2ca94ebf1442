import { KnownOptions } from '../input/known-options.ts';
import type { AppendOptions, AppendResult } from '../store/appending/append.ts';
import type { SnapshotOptions } from '../store/reading/aggregate-history.ts';

/** `manager`: reads inside its transaction. */
export type LoadOptions = Pick<SnapshotOptions, 'manager'>;

/** `metadata` for every event, and `manager` to append inside its transaction. */
export type SaveOptions = Pick<AppendOptions, 'metadata' | 'manager'>;

export interface ExecuteOptions extends SaveOptions {
  /** How often to load and run the work again after a version conflict. @default 3 */
  readonly retries?: number;
  /** The version that the caller has seen; at any other the work is not run and nothing retried. */
  readonly expectedVersion?: number;
  /**
   * Runs the work once, however often it is asked for with this key and aggregate, in any process: if
   * events were stored with the key before, the work is not run, and the answer is their append's, with
   * `duplicate: true` and no `result`. A work that has stored no event is not known again.
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

/** What a save answers, and what the work returned. */
export interface ExecuteResult<R> extends AppendResult {
  readonly result: R;
}

/** What the work returned; with an idempotency key, undefined if its events were stored before. */
export type ResultOf<R, Options> = 'idempotencyKey' extends keyof Options ? R | undefined : R;

export interface AggregateRepositoryOptions {
  /** Of how many aggregates the history is kept in memory between calls of `execute`; 0 keeps none. */
  readonly cacheSize: number;
  /** Called for what must not fail a call: a snapshot that could not be taken or restored. */
  readonly onWarning: (message: string, error?: unknown) => void;
}
