import type { EntityManager } from 'typeorm';

/** Reading forward yields the oldest first; backward, the newest first. */
export type ReadDirection = 'forward' | 'backward';

export interface AggregateReadOptions {
  /** At most so many stored events. @default 1000 */
  readonly limit?: number;
  /**
   * With `'backward'` the place given is where reading stopped last: what stands before it comes
   * next, newest first, and 0 starts at the end. @default 'forward'
   */
  readonly direction?: ReadDirection;
  /** Reads inside this manager's transaction, on its connection. */
  readonly manager?: EntityManager;
}

export interface ReadOptions extends AggregateReadOptions {
  /** Only events of these types: stored names, or event classes. */
  readonly types?: readonly (string | (abstract new (...args: never[]) => object))[];
  /** Only events of aggregates of these types. */
  readonly aggregateTypes?: readonly string[];
}
