import type { LoadOptions } from './repository-options.ts';

/** The calls that use one aggregate or wait for it. */
interface Line {
  /** Resolves once the turns taken so far are over. */
  over: Promise<unknown>;
  length: number;
  /** How many turns were ever taken. */
  taken: number;
  readonly waiting: Set<Turn>;
}

// A work that takes longer than this, or never ends, must not block the others.
const longestTurnMs = 5_000;

/**
 * Runs the calls on one aggregate one after another, in the order in which they arrived.
 *
 * Turns only reduce conflicts: the expected version decides whether an append is accepted. A turn may
 * therefore end before its call does: each call waits at most 5 seconds for each call before it.
 *
 * If another transaction keeps the aggregate locked, a turn lasts for `lockTimeoutMs`. `failWaiting`
 * then fails the calls that have waited since that turn began; otherwise each would wait for as long
 * again.
 *
 * A call that does not wait takes its turn at once, beside those before it. This is for calls that
 * others may be waiting for: two calls that wait for each other would wait for ever.
 */
export class AggregateTurns {
  readonly #lines = new Map<string, Line>();
  readonly #longestTurnMs: number;

  constructor(longest = longestTurnMs) {
    this.#longestTurnMs = longest;
  }

  /** How many aggregates are in use. */
  get size(): number {
    return this.#lines.size;
  }

  async take<T>(
    id: string,
    waits: boolean,
    use: (failWaiting: (error: Error) => void) => Promise<T>,
  ): Promise<T> {
    const line = this.#lines.get(id) ?? newLine();
    this.#lines.set(id, line);
    const former = line.over;
    const turn = new Turn(line.taken++);
    line.over = Promise.all([former, turn.over]);
    line.length += 1;
    try {
      if (waits) {
        line.waiting.add(turn);
        await Promise.race([former, turn.refused]);
        line.waiting.delete(turn);
      }
      const takenBefore = line.taken;
      turn.endAfter(this.#longestTurnMs);
      return await use((error) => {
        for (const each of line.waiting) if (each.number < takenBefore) each.refuse(error);
      });
    } finally {
      line.waiting.delete(turn);
      turn.end();
      line.length -= 1;
      if (line.length === 0) this.#lines.delete(id);
    }
  }
}

const newLine = (): Line => ({ over: Promise.resolve(), length: 0, taken: 0, waiting: new Set() });

class Turn {
  readonly over: Promise<void>;
  /** Never resolves; rejects once the turn is refused. */
  readonly refused: Promise<never>;
  refuse!: (error: Error) => void;
  #resolve!: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly number: number) {
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.refused = new Promise((_, reject) => {
      this.refuse = reject;
    });
  }

  endAfter(ms: number): void {
    this.#timer = setTimeout(this.#resolve, ms).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#resolve();
  }
}

/** Keeps the turns of calls outside of transactions apart from those inside each open transaction. */
export class TurnsByTransaction {
  readonly #outside = new AggregateTurns();
  /** Keyed by the query runner of the transaction, or by its manager. */
  readonly #inside = new WeakMap<object, AggregateTurns>();

  in(transaction: LoadOptions['manager']): AggregateTurns {
    if (!transaction) return this.#outside;
    const key = transaction.queryRunner ?? transaction;
    const turns = this.#inside.get(key) ?? new AggregateTurns();
    this.#inside.set(key, turns);
    return turns;
  }
}
