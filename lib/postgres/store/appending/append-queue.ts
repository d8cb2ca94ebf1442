import { AsyncResource } from 'node:async_hooks';
import type { AggregateRef } from '../../../store/aggregate-ref.ts';
import type { PreparedAppend } from '../../../store/appending/prepared-append.ts';
import { StoreOverloadedError } from '../../../store/appending/append.errors.ts';
import { AppendBatch } from './append-batch.ts';
import { type AppendCall, type AppendOutcome, aggregateKey } from './append-call.ts';
import { AppendLines, type Line, type Patience, type Place } from './append-lines.ts';
import { AggregateHeld, HeldAppends } from './held-appends.ts';
import {
  isConnectionLoss,
  failsEveryStatement,
  isHeld,
  isLockTimeout,
  isOutcomeUnknown,
  translateError,
} from '../../connection/errors/translate-error.ts';

export interface AppendQueueOptions {
  /** How many calls may wait, including those in flight. */
  readonly maxQueuedAppends: number;
  /** How long an append waits for an aggregate that another transaction holds. */
  readonly lockTimeoutMs: number;
  /** How many connections may wait for held aggregates at once. */
  readonly maxLanes: number;
}

/** The outcome of an append, and whether an earlier, unanswered attempt may have stored it. */
export interface SettledAppend extends AppendOutcome {
  readonly resent: boolean;
}

/** Does not wait for held aggregates, only briefly for one that another transaction is just creating. */
const inPassing: Patience = { wait: false, lockTimeoutMs: 10 };

/** Used only to find out which part of a batch has met an aggregate that is being created. */
const toFindHeld: Patience = { wait: false, lockTimeoutMs: 1 };

// Two: while the database works on one batch, this process prepares or settles the other.
const maxBatchesInFlight = 2;

// Sixteen full batches: appends that are larger than usual are refused before they fill the memory.
const maxQueuedBytes = 128 * 1024 * 1024;

/**
 * Puts all appends of this process outside of callers' transactions in one order, and sends them.
 *
 * Group commit: appends that are called while batches are in flight are sent together in the next
 * batch, with one round trip and one flush to disk for all of them. There is no timer: an append that
 * finds fewer batches in flight than allowed is sent at once. An append that needs a transaction of its
 * own, because it is for several aggregates or concerns an inline projection, is sent by itself. In
 * both cases, the calls for each aggregate keep their order; see `Line`.
 *
 * No call waits for an aggregate that another transaction holds: its appends are returned as busy, and
 * continue in `HeldAppends`. A batch that fails as a whole is halved and sent again, down to the one
 * append that fails alone.
 */
export class AppendQueue {
  readonly #call: AppendCall;
  readonly #options: AppendQueueOptions;
  readonly #lines = new AppendLines();
  readonly #held: HeldAppends;
  /** Places that are first in their lines, to be sent with the next batch. */
  #ready: Place[] = [];
  #batchesInFlight = 0;
  #size = 0;
  #bytes = 0;

  constructor(call: AppendCall, options: AppendQueueOptions) {
    this.#call = call;
    this.#options = options;
    this.#held = new HeldAppends(options, {
      send: (place, patience) => this.#sendHeld(place, patience),
      giveUp: (place, error) => this.#fail(place, error, true),
    });
  }

  /**
   * Takes the place of a call for these aggregates. What the call sends may be decided later: the place
   * is settled by `sendInBatch`, `sendAlone` or `cancel`.
   *
   * @throws StoreOverloadedError if too many calls are waiting.
   */
  reserve(aggregates: readonly AggregateRef[]): Place {
    if (this.#size >= this.#options.maxQueuedAppends) throw this.#overloaded('maxQueuedAppends');
    this.#size++;
    return this.#lines.join(
      aggregates.length === 1
        ? [aggregateKey(aggregates[0]!)]
        : new Set(aggregates.map(aggregateKey)),
    );
  }

  /** Sends an append together with others. */
  sendInBatch(place: Place, append: PreparedAppend): Promise<SettledAppend> {
    return new Promise((resolve, reject) => {
      place.resolve = resolve;
      place.reject = reject;
      this.#fill(place, [append]);
    });
  }

  /**
   * Sends appends by their own `attempt`. If another transaction is in the way, `attempt` rejects with
   * `AggregateHeld` and is called again later.
   */
  sendAlone<T>(
    place: Place,
    appends: readonly PreparedAppend[],
    attempt: (patience: Patience) => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      place.resolve = resolve;
      place.reject = reject;
      // The attempt may start when another call is settled, but belongs to the context of its own
      // caller.
      place.attempt = AsyncResource.bind(attempt);
      this.#fill(place, appends);
    });
  }

  /** Cancels a place that has nothing to send. */
  cancel(place: Place): void {
    this.#settle(place, ignore);
    this.#wake();
  }

  /**
   * Counts the call's aggregates as held, so that later calls wait for it only as for another
   * transaction.
   */
  isHolding(place: Place): void {
    this.#held.mark(place);
  }

  #fill(place: Place, appends: readonly PreparedAppend[]): void {
    const bytes = bytesOf(appends);
    // An append that is larger than the limit can still be stored if no other append is waiting.
    if (this.#bytes > 0 && this.#bytes + bytes > maxQueuedBytes) {
      this.#settle(place, () => place.reject(this.#overloaded('maxQueuedBytes')));
    } else {
      place.appends = appends;
      place.bytes = bytes;
      this.#bytes += bytes;
      if (place.isFirst) this.#start(place);
    }
    this.#wake();
  }

  /** Sends the call of a place that has become first in its lines. */
  #start(place: Place): void {
    if (!place.isReady) return;
    if (place.lines.some((line) => line.heldSince !== undefined)) this.#held.add(place);
    else if (place.attempt) void this.#sendAlone(place, inPassing);
    else this.#ready.push(place);
  }

  #wake(): void {
    if (this.#batchesInFlight >= maxBatchesInFlight || this.#ready.length === 0) return;
    this.#batchesInFlight++;
    // After the current turn of the event loop, so that appends called side by side are sent together.
    queueMicrotask(() => void this.#sendBatches());
  }

  async #sendBatches(): Promise<void> {
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
      await this.#send(batch, inPassing);
    }
    this.#batchesInFlight--;
  }

  #nextBatch(): readonly Place[] {
    // A fair share of the calls; otherwise all callers would be in one batch and wait for one another.
    const batch = new AppendBatch(Math.ceil(this.#size / maxBatchesInFlight));
    const refused = this.#ready.findIndex((place) => !batch.add(place));
    if (refused === -1) {
      this.#ready = [];
      batch.addFollowers();
    } else this.#ready.splice(0, refused);
    return batch.places;
  }

  async #sendHeld(place: Place, patience: Patience): Promise<void> {
    if (place.attempt) await this.#sendAlone(place, patience);
    else {
      const batch = new AppendBatch();
      batch.add(place);
      batch.addFollowers();
      await this.#send(batch.places, patience);
    }
    this.#wake();
  }

  /** Settles every append of the batch, or keeps it for later. Never throws. */
  async #send(batch: readonly Place[], patience: Patience, isSecondTry = false): Promise<void> {
    let outcomes: AppendOutcome[];
    try {
      const resent = batch.some((place) => place.resent);
      const appends = batch.map((place) => place.appends[0]!);
      outcomes = await this.#call.send(appends, { allOrNothing: false, resent, ...patience });
    } catch (error) {
      if (isOutcomeUnknown(error)) for (const place of batch) place.resent = true;
      // Even if it was written, it is safe to send it again, because the events keep their ids.
      if (isConnectionLoss(error) && !isSecondTry) return this.#send(batch, patience, true);
      const mayWait = isHeld(error);
      const hopeless =
        failsEveryStatement(error) || (isLockTimeout(error) && (patience.wait || !mayWait));
      if (batch.length > 1 && !hopeless) {
        const middle = batch.length >> 1;
        const next = mayWait ? toFindHeld : patience;
        await this.#send(batch.slice(0, middle), next);
        // The second half must not overtake appends of the first half that are still waiting.
        const rest = this.#stillInTurn(batch.slice(middle));
        return rest.length === 0 ? undefined : this.#send(rest, next);
      }
      for (const place of batch) {
        if (mayWait) this.#held.add(place, error);
        else this.#fail(place, error);
      }
      return;
    }
    for (const [index, outcome] of outcomes.entries()) {
      const place = batch[index]!;
      if (outcome.outcome === 'busy') this.#held.add(place, new AggregateHeld());
      else {
        const settled: SettledAppend = { ...outcome, resent: place.resent };
        this.#settle(place, () => place.resolve(settled as never));
      }
    }
  }

  /**
   * Returns the places with only places of this batch before them. The others are sent in their turn.
   */
  #stillInTurn(places: readonly Place[]): readonly Place[] {
    const before = new Map<Line, number>();
    return places.filter((place) => {
      const line = place.lines[0]!;
      const index = before.get(line) ?? 0;
      place.isSent = line.heldSince === undefined && line.places[index] === place;
      if (place.isSent) before.set(line, index + 1);
      // The place before it was given up meanwhile.
      else if (place.isFirst) this.#held.add(place);
      return place.isSent;
    });
  }

  async #sendAlone(place: Place, patience: Patience): Promise<void> {
    place.isSent = true;
    try {
      const value = await place.attempt!(patience);
      this.#settle(place, () => place.resolve(value as never));
    } catch (error) {
      if (error instanceof AggregateHeld) this.#held.add(place, error);
      else this.#settle(place, () => place.reject(error));
    }
    this.#wake();
  }

  #fail(place: Place, error: unknown, isStillHeld = false): void {
    const { lockTimeoutMs } = this.#options;
    const facts = {
      aggregates: place.appends.map(({ aggregate }) => aggregate),
      events: place.appends.flatMap(({ events }) => events),
      lockTimeoutMs,
      mayBeStored: place.resent,
    };
    this.#settle(place, () => place.reject(translateError(error, facts)), isStillHeld);
  }

  #settle(place: Place, answer: () => void, isStillHeld = false): void {
    if (!isStillHeld) this.#held.release(place);
    this.#size--;
    this.#bytes -= place.bytes;
    const freed = this.#lines.leave(place);
    answer();
    for (const each of freed) this.#start(each);
  }

  #overloaded(limitedBy: StoreOverloadedError['limitedBy']): StoreOverloadedError {
    return new StoreOverloadedError(limitedBy, this.#options.maxQueuedAppends, maxQueuedBytes);
  }
}

function bytesOf(appends: readonly PreparedAppend[]): number {
  let bytes = 0;
  for (const { events } of appends) {
    for (const { payload, binary, metadata } of events) {
      bytes += Buffer.byteLength(payload) + Buffer.byteLength(metadata) + (binary?.length ?? 0);
    }
  }
  return bytes;
}

const ignore = (): void => undefined;
