import type { Line, Patience, Place } from './append-lines.ts';

export interface HeldAppendsOptions {
  readonly lockTimeoutMs: number;
  /** How many connections may wait for held aggregates at once. */
  readonly maxLanes: number;
}

/** What becomes of a held append. */
export interface HeldAppendsActions {
  /** Sends it, with what follows in its line; it is added again if it is still held. Never throws. */
  send(place: Place, patience: Patience): Promise<void>;
  /** Fails it: the time is up, and the aggregate is still held. */
  giveUp(place: Place, error: unknown): void;
}

/** Another transaction holds an aggregate of the append, by the SQLSTATE of a lock timeout. */
export class AggregateHeld extends Error {
  readonly code = '55P03';

  constructor(options?: ErrorOptions) {
    super('another transaction holds the aggregate', options);
  }
}

/**
 * The appends to aggregates that other transactions hold. Nothing that is for other aggregates waits
 * for them.
 *
 * They share a few connections, on which they wait in short turns: one that waited for as long as it
 * may would keep the connection from those whose aggregates are free again long before. `lockTimeoutMs`
 * counts for every append from the moment from which its aggregate is known to be held, whether it waits
 * on a connection, for one, or after an earlier append; so it is over for all that wait for one
 * transaction at once, and not for one after the other.
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

  /** Keeps an append that was sent in vain, or that is next to one. */
  add(place: Place, obstacle?: unknown): void {
    place.isSent = false;
    place.obstacle ??= obstacle;
    this.mark(place);
    // One that follows others comes back when it is its turn.
    if (!place.isFirst) return;
    this.#waiting.push(place);
    this.#takeTurns();
  }

  /** Notes that the aggregates of an append are held from now on, if they were not before. */
  mark({ lines }: Place): void {
    for (const line of lines) {
      line.heldSince ??= performance.now();
      this.#lines.add(line);
    }
    this.#watch ??= setInterval(() => this.#giveUpLate(), this.#shareOfTime(1)).unref();
  }

  /** Notes that an append was settled: what it waited for has come to an end. */
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

  /** So long that each append has some ten turns before its time is up. */
  #shareOfTime(rounds: number): number {
    return Math.min(Math.max(this.#options.lockTimeoutMs / 10 / rounds, 10), 250);
  }

  #leftMs({ lines, calledAt }: Place): number {
    let heldSince = Infinity;
    for (const line of lines) heldSince = Math.min(heldSince, line.heldSince ?? Infinity);
    return this.#options.lockTimeoutMs - (performance.now() - Math.max(heldSince, calledAt));
  }

  /** Fails those that wait for a turn, or for earlier calls, for longer than they may. */
  #giveUpLate(): void {
    for (const line of this.#lines) {
      if (line.places.length === 0) this.#lines.delete(line);
      for (const place of line.places.slice()) {
        if (!place.isReady) continue;
        // The rest of the line was called later.
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
