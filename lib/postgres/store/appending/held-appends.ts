import type { Line, Patience, Place } from './append-lines.ts';

export interface HeldAppendsOptions {
  readonly lockTimeoutMs: number;
  /** How many connections may wait for held aggregates at once. */
  readonly maxLanes: number;
}

/** What can be done with a held append. */
export interface HeldAppendsActions {
  /** Sends it together with its followers; it is added again if it is still held. Never throws. */
  send(place: Place, patience: Patience): Promise<void>;
  /** Fails it, because its time is up and the aggregate is still held. */
  giveUp(place: Place, error: unknown): void;
}

/**
 * Another transaction holds an aggregate of the append, so the call got the SQLSTATE of a lock timeout.
 */
export class AggregateHeld extends Error {
  readonly code = '55P03';

  constructor(options?: ErrorOptions) {
    super('another transaction holds the aggregate', options);
  }
}

/**
 * The appends to aggregates that other transactions hold. No append to another aggregate waits for
 * them.
 *
 * They share a few connections, on which they wait in short turns: an append that waited for its full
 * time would block the connection for others whose aggregates are free again much earlier. For every
 * append, `lockTimeoutMs` counts from the moment at which its aggregate is known to be held, whether
 * the append waits on a connection, for a connection, or after an earlier append. All appends that wait
 * for one transaction therefore time out together, not one after another.
 */
export class HeldAppends {
  readonly #options: HeldAppendsOptions;
  readonly #actions: HeldAppendsActions;
  readonly #lines = new Set<Line>();
  readonly #waiting: Place[] = [];
  #openTurns = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: HeldAppendsOptions, actions: HeldAppendsActions) {
    this.#options = options;
    this.#actions = actions;
  }

  /** Adds an append that was sent without success, or that follows one. */
  add(place: Place, obstacle?: unknown): void {
    place.isSent = false;
    place.obstacle ??= obstacle;
    this.mark(place);
    // An append that follows others is added again when it becomes the first.
    if (!place.isFirst) return;
    this.#waiting.push(place);
    this.#takeTurns();
  }

  /** Records that the aggregates of an append are held from now on, unless they already were. */
  mark({ lines }: Place): void {
    for (const line of lines) {
      line.heldSince ??= performance.now();
      this.#lines.add(line);
    }
    this.#watch ??= setInterval(() => this.#giveUpLate(), this.#shareOfTime(1)).unref();
  }

  /** Records that an append was settled, so its aggregates are no longer known to be held. */
  release(place: Place): void {
    for (const line of place.lines) {
      if (line.heldSince === undefined || line.places[0] !== place) continue;
      line.heldSince = undefined;
      this.#lines.delete(line);
    }
  }

  #takeTurns(): void {
    while (this.#openTurns < this.#options.maxLanes) {
      const place = this.#waiting.shift();
      if (!place) return;
      this.#openTurns++;
      void this.#takeTurn(place);
    }
  }

  async #takeTurn(place: Place): Promise<void> {
    const leftMs = this.#leftMs(place);
    if (leftMs <= 0) this.#giveUp(place);
    else {
      const { maxLanes } = this.#options;
      const rounds = Math.ceil((this.#waiting.length + this.#openTurns) / maxLanes);
      const lockTimeoutMs = Math.ceil(Math.min(leftMs, this.#shareOfTime(rounds)));
      await this.#actions.send(place, { wait: true, lockTimeoutMs });
    }
    this.#openTurns--;
    this.#takeTurns();
  }

  /** A duration that gives each append about ten turns before its time is up. */
  #shareOfTime(rounds: number): number {
    return Math.min(Math.max(this.#options.lockTimeoutMs / 10 / rounds, 10), 250);
  }

  #leftMs({ lines, calledAt }: Place): number {
    let heldSince = Infinity;
    for (const line of lines) heldSince = Math.min(heldSince, line.heldSince ?? Infinity);
    return this.#options.lockTimeoutMs - (performance.now() - Math.max(heldSince, calledAt));
  }

  /** Fails appends that have waited too long for a turn or for earlier calls. */
  #giveUpLate(): void {
    for (const line of this.#lines) {
      if (line.places.length === 0) this.#lines.delete(line);
      for (const place of line.places.slice()) {
        if (!place.isReady) continue;
        // The rest of the line was called later, so its time is not up either.
        if (this.#leftMs(place) > 0) break;
        this.#giveUp(place);
      }
    }
    if (this.#lines.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #giveUp(place: Place): void {
    const index = this.#waiting.indexOf(place);
    if (index >= 0) this.#waiting.splice(index, 1);
    this.#actions.giveUp(place, place.obstacle ?? new AggregateHeld());
  }
}
