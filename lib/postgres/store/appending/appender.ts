import type { EntityManager } from 'typeorm';
import type { AppendResult } from '../../../store/appending/append.ts';
import type { PreparedCall } from '../../../store/appending/prepare-append.ts';
import type { PreparedAppend } from '../../../store/appending/prepared-append.ts';
import { StoreClosedError } from '../../../store/store.errors.ts';
import type { AppendCall, CallOptions } from './append-call.ts';
import type { Patience, Place } from './append-lines.ts';
import type { AppendQueue } from './append-queue.ts';
import type { JoinedTransaction } from '../../connection/transactions/transaction-scopes.ts';
import type { CallerTransactions } from './commit-reports.ts';
import { type AppendResults, besideNewAppends, isRefused } from './append-results.ts';
import { AggregateHeld } from './held-appends.ts';
import { type InlineProjections, newRecords } from '../../projections/inline-projections.ts';
import { HandlerFailure } from '../../../subscriptions/delivery/handler-failure.ts';
import {
  type AppendFacts,
  isConnectionLoss,
  isHeld,
  isOutcomeUnknown,
  isTransactionConflict,
  translateError,
} from '../../connection/errors/translate-error.ts';
import { OpenCalls } from '../../connection/open-calls.ts';

export interface AppenderOptions {
  readonly lockTimeoutMs: number;
}

/** Sends appends to the database, and repeats them where that is safe. */
export class Appender {
  #closed = false;
  readonly #open = new OpenCalls();

  constructor(
    private readonly call: AppendCall,
    private readonly queue: AppendQueue,
    private readonly results: AppendResults,
    private readonly callerTransactions: CallerTransactions,
    private readonly inline: InlineProjections,
    private readonly options: AppenderOptions,
  ) {}

  /**
   * Appends the events of one call, all or none: in the manager's transaction, or with other appends.
   */
  async append(
    call: PreparedCall,
    manager: EntityManager | undefined,
  ): Promise<readonly AppendResult[]> {
    if (this.#closed) throw new StoreClosedError();
    this.#open.begin();
    try {
      // Before the first await: the scope of the call and the order of the calls are decided now.
      const joined = manager && this.#join(manager);
      if (call.aggregates.length === 0) return [];
      if (joined) return await this.#appendIn(joined, await call.appends);
      const place = this.queue.reserve(call.aggregates);
      const appends =
        call.appends instanceof Promise ? await this.#finish(place, call.appends) : call.appends;
      const isAlone = appends.length > 1 || this.inline.concernedBy(appends).length > 0;
      return isAlone
        ? await this.#appendAlone(place, appends)
        : [await this.#appendInBatch(place, appends[0]!)];
    } finally {
      this.#open.end();
    }
  }

  #join(manager: EntityManager): JoinedTransaction {
    try {
      return this.callerTransactions.join(manager);
    } catch (error) {
      // Its connection may be lost already.
      throw translateError(error);
    }
  }

  /** Resolves once all appends accepted so far are settled. */
  async drain(): Promise<void> {
    await this.#open.drain();
  }

  /** Accepts no more appends, and resolves once all accepted ones are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drain();
  }

  /** Appends in one call with other appends of the same moment. */
  async #appendInBatch(place: Place, append: PreparedAppend): Promise<AppendResult> {
    const { resent, ...outcome } = await this.queue.sendInBatch(place, append);
    // Without an await: the next append to its aggregate may already be settled.
    const written = this.results.written(append, outcome);
    if (written) {
      await this.callerTransactions.report(written.records);
      return written;
    }
    const reading = this.results.of(append, outcome).catch((error: unknown) => {
      // The events of the first append could not be read; they are stored all the same.
      throw translateError(error, { ...factsOf([append]), mayBeStored: true });
    });
    // If it was sent twice with generated ids, it can only repeat its own first attempt.
    if (!resent || append.hasCallerIds) return reading;
    await this.callerTransactions.report(reading.then(({ records }) => records));
    return { ...(await reading), duplicate: false };
  }

  /** Waits for the answer of a schema. A call that the schema refuses cancels its place. */
  async #finish<T>(place: Place, finished: Promise<T>): Promise<T> {
    try {
      return await finished;
    } catch (error) {
      this.queue.cancel(place);
      throw error;
    }
  }

  /** Appends in the caller's transaction, where nothing is repeated: the transaction may be aborted. */
  async #appendIn(
    joined: JoinedTransaction,
    prepared: readonly PreparedAppend[],
  ): Promise<AppendResult[]> {
    let results: AppendResult[];
    try {
      results = await this.#write(prepared, { wait: true }, joined);
    } catch (error) {
      throw toError(error, factsOf(prepared));
    }
    this.callerTransactions.remember(joined, newRecords(results));
    return results;
  }

  /** Appends in a separate call, or in a transaction of its own. */
  async #appendAlone(place: Place, prepared: readonly PreparedAppend[]): Promise<AppendResult[]> {
    const written = await this.queue.sendAlone(place, prepared, (patience) =>
      this.#attempt(place, prepared, patience),
    );
    // If it was sent twice with generated ids, it can only repeat its own first attempt.
    const areOurs = place.resent && prepared.every((append) => !append.hasCallerIds);
    const results = areOurs ? written.map((result) => ({ ...result, duplicate: false })) : written;
    await this.callerTransactions.report(newRecords(results));
    return results;
  }

  /**
   * Repeats the append until it succeeds or fails for good.
   *
   * @throws AggregateHeld if another transaction is in the way; the append must then be sent again
   * later.
   */
  async #attempt(
    place: Place,
    prepared: readonly PreparedAppend[],
    patience: Patience,
  ): Promise<AppendResult[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const options = { ...patience, resent: place.resent };
        return await this.#write(prepared, options, undefined, () => this.queue.isHolding(place));
      } catch (error) {
        // A lock that a projection ran into is a HandlerFailure, and no reason to wait.
        if (isHeld(error)) throw new AggregateHeld({ cause: error });
        const cause = error instanceof HandlerFailure ? error.cause : error;
        // A lost connection is retried once, because the ids make that safe; a deadlock until it is
        // gone.
        const mayRetry = isConnectionLoss(cause) ? attempt === 1 : isTransactionConflict(cause);
        if (!mayRetry || attempt === 10) {
          const { lockTimeoutMs } = this.options;
          throw toError(error, { ...factsOf(prepared), lockTimeoutMs, mayBeStored: place.resent });
        }
        place.resent ||= isOutcomeUnknown(cause);
      }
    }
  }

  /** Writes all appends or none, together with the inline projections that they concern. */
  #write(
    prepared: readonly PreparedAppend[],
    options: Omit<CallOptions, 'allOrNothing' | 'manager'>,
    joined?: JoinedTransaction,
    onWritten: () => void = ignore,
  ): Promise<AppendResult[]> {
    return this.inline.inTransactionWith(prepared, joined, async (inner) => {
      const written = await this.#send(prepared, {
        ...options,
        allOrNothing: true,
        manager: inner,
      });
      onWritten();
      return written;
    });
  }

  async #send(prepared: readonly PreparedAppend[], options: CallOptions): Promise<AppendResult[]> {
    const { manager } = options;
    const outcomes = await this.call.send(prepared, options);
    if (outcomes.some(({ outcome }) => outcome === 'busy')) throw new AggregateHeld();
    const byKey: (AppendResult | undefined)[] = [];
    for (const [index, append] of prepared.entries()) {
      byKey.push(append.idAt && (await this.results.byKey(append, outcomes[index]!, manager)));
    }
    const rest = prepared.filter((_, index) => !byKey[index]);
    const restOutcomes = outcomes.filter((_, index) => !byKey[index]);
    let others: AppendResult[] = [];
    if (rest.length < prepared.length && restOutcomes.some(isRefused)) {
      // Nothing was written. An append without a key must not be written again at each repetition of
      // the others.
      const withoutKey = rest.some(({ idAt, events }) => !idAt && events.length > 0);
      if (withoutKey) throw besideNewAppends(prepared, byKey);
      others = await this.#send(rest, options);
    } else {
      await this.results.refuse(rest, restOutcomes, manager);
      for (const [index, append] of rest.entries()) {
        others.push(await this.results.of(append, restOutcomes[index]!, manager));
      }
    }
    return byKey.map((result) => result ?? others.shift()!);
  }
}

const factsOf = (prepared: readonly PreparedAppend[]): AppendFacts => ({
  aggregates: prepared.map((append) => append.aggregate),
  events: prepared.flatMap((append) => append.events),
});

/**
 * Translates an error, but leaves one that a projection threw as it is, unless the database caused it.
 */
function toError(error: unknown, facts: AppendFacts): unknown {
  if (!(error instanceof HandlerFailure)) return translateError(error, facts);
  const { cause } = error;
  const isDatabases = isConnectionLoss(cause) || isTransactionConflict(cause);
  return isDatabases ? translateError(cause, facts) : cause;
}

const ignore = (): void => undefined;
