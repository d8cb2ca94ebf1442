import { AsyncLocalStorage } from 'node:async_hooks';
import type { QueryRunner } from 'typeorm';

// Keyed by the transaction, so this map keeps nothing alive.
const lastTurns = new WeakMap<QueryRunner, Promise<unknown>>();
const surrounding = new AsyncLocalStorage<readonly QueryRunner[]>();

/**
 * Runs work on a transaction after all work that asked for its turn earlier.
 *
 * Savepoints form a stack: if two were open side by side, each would release or undo the other's work.
 * Work that is requested from within a turn is part of that turn and does not wait.
 */
export function inTurn<T>(queryRunner: QueryRunner, work: () => Promise<T>): Promise<T> {
  const outer = surrounding.getStore() ?? [];
  if (outer.includes(queryRunner)) return work();
  const former = lastTurns.get(queryRunner) ?? Promise.resolve();
  const turn = former.then(() => surrounding.run([...outer, queryRunner], work));
  lastTurns.set(queryRunner, turn.catch(ignore));
  return turn;
}

/** Every turn reports its own failure. */
const ignore = (): void => undefined;
