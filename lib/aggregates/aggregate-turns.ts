import { AggregateLockedError } from '../store/appending/append.errors.ts';

/** All that use one aggregate, or wait for it. */
interface Line {
  /** Resolves once the turns taken so far are over. */
  over: Promise<unknown>;
  length: number;
  /** How many turns were ever taken. */
  taken: number;
  readonly waiting: Set<Turn>;
}

// A work that takes longer, or never ends, must not stop the others.
const longestTurnMs = 5_000;

/**
 * Lets the users of one aggregate work one after another, in the order in which they asked.
 *
 * That only saves conflicts: whether an append is accepted is decided by the version that it expects. So a
 * turn may be over before its user is: each caller waits 5 seconds at most for every caller before it.
 *
 * An aggregate that another transaction keeps locked fails the turn that it stops, after `lockTimeoutMs`, and
 * with it those that have waited all that time: one after another, each would wait as long again.
 *
 * One that does not wait takes its turn at once, beside those before it. That is for callers that others
 * may be waiting for: a wait in both directions would last for ever.
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

  async take<T>(id: string, waits: boolean, use: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(id) ?? newLine();
    this.#lines.set(id, line);
    const former = line.over;
    const turn = new Turn(line.taken++);
    line.over = Promise.all([former, turn.over]);
    line.length += 1;
    let takenBefore = 0;
    try {
      if (waits) {
        line.waiting.add(turn);
        await Promise.race([former, turn.refused]);
        line.waiting.delete(turn);
      }
      takenBefore = line.taken;
      turn.endAfter(this.#longestTurnMs);
      return await use();
    } catch (error) {
      if (error instanceof AggregateLockedError) {
        for (const each of line.waiting) if (each.number < takenBefore) each.refuse(error);
      }
      throw error;
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
  /** Never resolves; rejects if the turn will not come. */
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
