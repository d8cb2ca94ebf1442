class Gate {
  /** How many may still pass. */
  left: number;
  #arrive!: () => void;
  #open!: () => void;
  readonly arrived = new Promise<void>((resolve) => (this.#arrive = resolve));
  readonly opened = new Promise<void>((resolve) => (this.#open = resolve));

  constructor(passing: number) {
    this.left = passing;
  }

  arrive = (): void => this.#arrive();
  open = (): void => this.#open();
}

/** Holds handlers at a place that a spec has chosen, until it lets them continue. */
export class Gates {
  readonly #closed = new Map<string, Gate>();

  /** Lets `passing` handlers pass the gate of this name; later ones wait there. */
  close(name: string, passing = 0): void {
    this.#closed.set(name, new Gate(passing));
  }

  /** Resolves when a handler waits at the gate. */
  async arrived(name: string): Promise<void> {
    await this.#closed.get(name)!.arrived;
  }

  open(name: string): void {
    this.#closed.get(name)?.open();
    this.#closed.delete(name);
  }

  async pass(name: string): Promise<void> {
    const gate = this.#closed.get(name);
    if (!gate || gate.left-- > 0) return;
    gate.arrive();
    await gate.opened;
  }
}
