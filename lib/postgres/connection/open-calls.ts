/** Counts the open calls, so that a shutdown can wait for them. */
export class OpenCalls {
  #count = 0;
  #onNone: (() => void)[] = [];

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
    if (this.#count === 0) for (const resolve of this.#onNone.splice(0)) resolve();
  }

  /** Resolves once no call is open, including calls that begin meanwhile. */
  async drain(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#onNone.push(resolve));
  }
}
