/** Wakes up everything that waits for something new. */
export class WakeUp {
  #tick = 0;
  readonly #waiting = new Set<() => void>();

  /** Grows with every wake-up: a check that began at an earlier tick must be repeated. */
  get tick(): number {
    return this.#tick;
  }

  wake(): void {
    this.#tick += 1;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }

  /** Resolves at the next wake-up after `tick`, after the timeout, or when `signal` aborts. */
  async after(tick: number, timeoutMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (this.#tick !== tick || signal.aborted) return;
    let timer: NodeJS.Timeout | undefined;
    let done!: () => void;
    try {
      await new Promise<void>((resolve) => {
        done = () => resolve();
        this.#waiting.add(done);
        signal.addEventListener('abort', done);
        if (timeoutMs !== undefined) timer = setTimeout(done, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(done);
      signal.removeEventListener('abort', done);
    }
  }
}
