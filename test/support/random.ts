import { randomInt } from 'node:crypto';

/** A repeatable source of random choices. */
export interface Random {
  readonly seed: number;
  /** A number from 0 up to, not including, 1. */
  next(): number;
  /** A whole number from `from` to `to`, both included. */
  integer(from: number, to: number): number;
  pick<T>(items: readonly T[]): T;
}

/**
 * Returns the seed of this run: `TEST_SEED`, or a random one, which is printed.
 *
 * Run a failed spec again with `TEST_SEED=<seed>` to repeat its choices.
 */
export function seed(): number {
  const given = Number(process.env['TEST_SEED'] || randomInt(2 ** 31));
  console.info(`TEST_SEED=${given}`);
  return given;
}

/** Returns choices that depend on nothing but the seed (mulberry32). */
export function random(from: number): Random {
  let state = from;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    seed: from,
    next,
    integer,
    pick<T>(items: readonly T[]) {
      if (items.length === 0) throw new RangeError('There is nothing to pick from.');
      return items[integer(0, items.length - 1)] as T;
    },
  };
}
