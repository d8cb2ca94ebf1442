import { inspect } from 'node:util';
import { KnownOptions } from '../input/known-options.ts';
import { checkWholeNumber, show } from '../input/whole-number.ts';

const levels = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const;
export type IsolationLevel = (typeof levels)[number];

export interface TransactionOptions {
  /** The isolation level of the transaction. @default 'READ COMMITTED' */
  readonly isolationLevel?: IsolationLevel;
  /** How often to repeat the whole transaction after a conflict. @default 5 */
  readonly retries?: number;
}

const transactionOptions = new KnownOptions<TransactionOptions>('A transaction', {
  isolationLevel: true,
  retries: true,
});

/** Returns the options with their defaults. @throws TypeError if an option or the work is invalid. */
export function checkTransaction(
  work: unknown,
  given: TransactionOptions,
): Required<TransactionOptions> {
  if (typeof work !== 'function') {
    throw new TypeError(`transaction: the work must be a function, got ${show(work)}.`);
  }
  const { isolationLevel = 'READ COMMITTED', retries = 5 } = transactionOptions.take(given);
  checkWholeNumber('retries', retries);
  if (levels.includes(isolationLevel)) return { isolationLevel, retries };
  throw new TypeError(
    `isolationLevel must be one of ${levels.join(', ')}, got ${inspect(isolationLevel, { depth: -1, maxStringLength: 50 })}.`,
  );
}
