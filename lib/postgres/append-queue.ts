import { StoreOverloadedError } from '../store/store.errors.ts';
import type { PreparedAppend } from '../store/prepare-append.ts';
import { type AppendCall, type AppendOutcome, aggregateKey } from './append-call.ts';
import {
  isConnectionLoss,
  isEverybodysTrouble,
  isLockTimeout,
  isOutcomeUnknown,
  translateError,
} from './postgres-errors.ts';

export interface AppendQueueOptions {
  /** How many appends may wait, in flight included. */
  readonly maxQueuedAppends: number;
  /** How long an append waits for an aggregate that another transaction holds. */
  readonly lockTimeoutMs: number;
  /** How many connections may wait for held aggregates at once. */
  readonly maxLanes: number;
}

/** What became of an append, and whether an earlier try, which was not answered, may have stored it. */
export interface SettledAppend extends AppendOutcome {
  readonly resent: boolean;
}

interface QueuedAppend extends PreparedAppend {
  readonly key: string;
  readonly resolve: (settled: SettledAppend) => void;
  readonly reject: (error: unknown) => void;
  resent: boolean;
}

// A batch waits this long for an aggregate that another transaction is just creating.
const batchLockTimeoutMs = 50;
const maxBatchEvents = 2_000;
const maxBatchBytes = 8 * 1024 * 1024;

// Two: while the database works on one batch, this process prepares the other or settles it.
const maxFlights = 2;

/**
 * Group commit: appends that are called while batches are in flight go out together in the next one,
 * with one round trip and one flush to disk for all of them.
 *
 * There is no timer: an append that finds too little in flight leaves at once. Appends to one
 * aggregate keep their call order: while one is in flight, the others wait. A batch never waits for
 * an aggregate that another transaction holds: the appends to it come back as busy and go on in a
 * lane of their own, where their connection waits, together with all that are called for that
 * aggregate meanwhile. A batch that fails as a whole is halved and sent again, down to the one append
 * that fails alone.
 */
export class AppendQueue {
  readonly #call: AppendCall;
  readonly #options: AppendQueueOptions;
  #waiting: QueuedAppend[] = [];
  readonly #lanes = new Map<string, QueuedAppend[]>();
  readonly #idleLanes: string[] = [];
  #openLanes = 0;
  readonly #inFlight = new Set<string>();
  #flights = 0;
  #size = 0;

  constructor(call: AppendCall, options: AppendQueueOptions) {
    this.#call = call;
    this.#options = options;
  }

  /** Sends an append with the next batch. Rejects if the queue is full. */
  add(append: PreparedAppend): Promise<SettledAppend> {
    if (this.#size >= this.#options.maxQueuedAppends) {
      return Promise.reject(new StoreOverloadedError(this.#options.maxQueuedAppends));
    }
    return new Promise((resolve, reject) => {
      this.#size++;
      const key = aggregateKey(append.aggregate);
      this.#waiting.push({ ...append, key, resolve, reject, resent: false });
      // Once the caller's own turn is over, so that appends called side by side leave side by side.
      if (this.#flights < maxFlights && !this.#inFlight.has(key)) {
        this.#flights++;
        queueMicrotask(() => void this.#fly());
      }
    });
  }

  async #fly(): Promise<void> {
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
      for (const { key } of batch) this.#inFlight.add(key);
      await this.#send(batch, { wait: false, lockTimeoutMs: batchLockTimeoutMs });
      for (const { key } of batch) this.#inFlight.delete(key);
    }
    this.#flights--;
  }

  #nextBatch(): QueuedAppend[] {
    const ready: QueuedAppend[] = [];
    const waiting: QueuedAppend[] = [];
    for (const append of this.#waiting) {
      // What is called for an aggregate with a lane queues up behind those that came before.
      const lane = this.#lanes.get(append.key);
      if (lane) lane.push(append);
      else (this.#inFlight.has(append.key) ? waiting : ready).push(append);
    }
    // A fair share, or all callers would travel in one batch and wait for one another.
    const batch = takeBatch(ready, Math.ceil(this.#size / maxFlights));
    this.#waiting = waiting.length === 0 ? ready : [...ready, ...waiting];
    return batch;
  }

  /** Settles every append of the batch, or hands it to a lane. Never throws. */
  async #send(
    batch: readonly QueuedAppend[],
    patience: { readonly wait: boolean; readonly lockTimeoutMs: number },
    isSecondTry = false,
  ): Promise<void> {
    let outcomes: AppendOutcome[];
    try {
      const resent = batch.some((append) => append.resent);
      outcomes = await this.#call.send(batch, { allOrNothing: false, resent, ...patience });
    } catch (error) {
      if (isOutcomeUnknown(error)) for (const append of batch) append.resent = true;
      // Even if it was written, it can be sent again: the events' ids make that safe.
      if (isConnectionLoss(error) && !isSecondTry) return this.#send(batch, patience, true);
      const hopeless = isEverybodysTrouble(error) || (patience.wait && isLockTimeout(error));
      if (batch.length > 1 && !hopeless) {
        const middle = batch.length >> 1;
        await this.#send(batch.slice(0, middle), patience);
        return this.#send(batch.slice(middle), patience);
      }
      for (const append of batch) {
        if (isLockTimeout(error) && !patience.wait) this.#enterLane(append);
        else this.#fail(append, error);
      }
      return;
    }
    for (const [index, outcome] of outcomes.entries()) {
      const append = batch[index]!;
      if (outcome.outcome === 'busy') this.#enterLane(append);
      else this.#settle(() => append.resolve({ ...outcome, resent: append.resent }));
    }
  }

  #enterLane(append: QueuedAppend): void {
    const lane = this.#lanes.get(append.key);
    if (lane) {
      lane.push(append);
      return;
    }
    this.#lanes.set(append.key, [append]);
    this.#idleLanes.push(append.key);
    this.#openNextLane();
  }

  #openNextLane(): void {
    if (this.#openLanes >= this.#options.maxLanes) return;
    const key = this.#idleLanes.shift();
    if (key === undefined) return;
    this.#openLanes++;
    void this.#runLane(key);
  }

  async #runLane(key: string): Promise<void> {
    const lane = this.#lanes.get(key)!;
    while (lane.length > 0) {
      await this.#send(takeBatch(lane), { wait: true, lockTimeoutMs: this.#options.lockTimeoutMs });
    }
    this.#lanes.delete(key);
    this.#openLanes--;
    this.#openNextLane();
  }

  #fail(append: QueuedAppend, error: unknown): void {
    const { aggregate, events, resent: mayBeStored } = append;
    const { lockTimeoutMs } = this.#options;
    const facts = { aggregates: [aggregate], events, lockTimeoutMs, mayBeStored };
    this.#settle(() => append.reject(translateError(error, facts)));
  }

  #settle(answer: () => void): void {
    answer();
    this.#size--;
  }
}

/** Takes from the front as many appends as one call should carry, at least one and at most so many. */
function takeBatch(waiting: QueuedAppend[], most = Infinity): QueuedAppend[] {
  let events = 0;
  let bytes = 0;
  const ids = new Set<string>();
  const end = waiting.findIndex((append, index) => {
    events += append.events.length;
    let isRepetition = false;
    for (const { id, payload, binary } of append.events) {
      bytes += payload.length + (binary?.length ?? 0);
      if (!append.hasCallerIds) continue;
      isRepetition ||= ids.has(id);
      ids.add(id);
    }
    // A repetition finds what it repeats only once that is stored: not in one call with it.
    const isFull = index >= most || events > maxBatchEvents || bytes > maxBatchBytes;
    return index > 0 && (isRepetition || isFull);
  });
  return waiting.splice(0, end === -1 ? waiting.length : end);
}
