import type { EntityManager } from 'typeorm';
import { KnownOptions } from '../../input/known-options.ts';
import { show } from '../../input/whole-number.ts';
import { isStorableText } from '../../input/storable-text.ts';

/** The order of a read: `'forward'` yields the oldest event first, `'backward'` the newest. */
export type ReadDirection = 'forward' | 'backward';

export interface AggregateReadOptions {
  /**
   * The most stored events of a page, 1 to 10,000. A page ends earlier once its events take 4 MiB, so
   * that memory does not depend on their size. @default 1000
   */
  readonly limit?: number;
  /**
   * With `'backward'`, the read continues before the given place, newest event first; 0 starts at the
   * end. @default 'forward'
   */
  readonly direction?: ReadDirection;
  /** Reads inside this manager's transaction, on its connection. */
  readonly manager?: EntityManager;
}

export interface ReadOptions extends AggregateReadOptions {
  /** Only events of these types: stored names, or event classes. An empty list matches nothing. */
  readonly types?: readonly (string | (abstract new (...args: never[]) => object))[];
  /** Only events of aggregates of these types. An empty list matches nothing. */
  readonly aggregateTypes?: readonly string[];
}

const readNames = { limit: true, direction: true, manager: true } as const;
export const aggregateReadOptions = new KnownOptions<AggregateReadOptions>(
  'A read of an aggregate',
  readNames,
);
export const logReadOptions = new KnownOptions<ReadOptions>('A read of the log', {
  ...readNames,
  types: true,
  aggregateTypes: true,
});

/** Returns `limit`. @throws TypeError if it is not a whole number from 1 to 10,000. */
export function checkLimit(limit = 1000): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 10_000) return limit;
  throw new TypeError(
    `limit must be a whole number from 1 to 10000, got ${show(limit)}. ` +
      'Read more than that page by page, or with stream().',
  );
}

/** Returns `direction`. @throws TypeError if it is neither `'forward'` nor `'backward'`. */
export function checkDirection(direction: ReadDirection = 'forward'): ReadDirection {
  if (direction === 'forward' || direction === 'backward') return direction;
  throw new TypeError(`direction must be 'forward' or 'backward', got ${show(direction)}.`);
}

/** Returns `types`. @throws TypeError if they are no list of texts that the database can compare. */
export function checkAggregateTypes(
  types: readonly string[] | undefined,
): readonly string[] | undefined {
  if (types === undefined) return undefined;
  if (Array.isArray(types) && types.every(isStorableText)) return types;
  throw new TypeError(
    `aggregateTypes must be a list of names without NUL or lone surrogates, got ${show(types)}.`,
  );
}
