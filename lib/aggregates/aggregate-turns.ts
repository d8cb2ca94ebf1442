/** All that use one aggregate, or wait for it. */
interface Line {
  /** Resolves once the turns taken so far are over. */
  over: Promise<unknown>;
  length: number;
}

// A work that takes longer, or never ends, must not stop the others.
const longestTurnMs = 5_000;

/**
 * Lets the users of one aggregate work one after another, in the order in which they asked.
 *
 * That only saves conflicts: whether an append is accepted is decided by the version that it expects. So a
 * turn may be over before its user is: each caller waits 5 seconds at most for every caller before it.
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
    const line = this.#lines.get(id) ?? { over: Promise.resolve(), length: 0 };
    this.#lines.set(id, line);
    const former = line.over;
    const turn = new Turn();
    line.over = Promise.all([former, turn.over]);
    line.length += 1;
    try {
      if (waits) await former;
      turn.endAfter(this.#longestTurnMs);
      return await use();
    } finally {
      turn.end();
      line.length -= 1;
      if (line.length === 0) this.#lines.delete(id);
    }
  }
}

class Turn {
  readonly over: Promise<void>;
  #resolve!: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
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
