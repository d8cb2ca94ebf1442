class Gate {
  #arrive!: () => void;
  #open!: () => void;
  readonly arrived = new Promise<void>((resolve) => (this.#arrive = resolve));
  readonly opened = new Promise<void>((resolve) => (this.#open = resolve));

  arrive = (): void => this.#arrive();
  open = (): void => this.#open();
}

/** Holds handlers at a place that a spec has chosen, until it lets them go on. */
export class Gates {
  readonly #closed = new Map<string, Gate>();

  /** From now on, whoever comes to the gate of this name waits there. */
  close(name: string): void {
    this.#closed.set(name, new Gate());
  }

  /** Resolves when somebody waits at the gate. */
  async arrived(name: string): Promise<void> {
    await this.#closed.get(name)!.arrived;
  }

  open(name: string): void {
    this.#closed.get(name)?.open();
    this.#closed.delete(name);
  }

  async pass(name: string): Promise<void> {
    const gate = this.#closed.get(name);
    gate?.arrive();
    await gate?.opened;
  }
}
