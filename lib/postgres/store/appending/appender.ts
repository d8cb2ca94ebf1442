import type { EntityManager } from 'typeorm';
import type { EventSerializer } from '../../../events/event-serializer.ts';
import type { Append, AppendResult } from '../../../store/event-store.ts';
import {
  checkContent,
  duplicateError,
  placesByKey,
} from '../../../store/appending/event-places.ts';
import {
  isUnfinished,
  prepareAppend,
  prepareAppends,
  type PreparedAppend,
  type PrepareOptions,
} from '../../../store/appending/prepare-append.ts';
import { DurabilityUncertainError } from '../../connection/errors/database.errors.ts';
import {
  DuplicateEventError,
  StoreClosedError,
  WrongExpectedVersionError,
} from '../../../store/store.errors.ts';
import type { AppendCall, AppendOutcome, CallOptions } from './append-call.ts';
import type { Patience, Place } from './append-lines.ts';
import type { AppendQueue } from './append-queue.ts';
import type { JoinedTransaction } from '../../connection/transactions/transaction-scopes.ts';
import type { CallerTransactions } from './commit-reports.ts';
import type { EventReader } from '../reading/event-reader.ts';
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
import { timeOf } from '../../schema/fragments/microseconds.sql.ts';

export interface AppenderOptions extends PrepareOptions {
  readonly lockTimeoutMs: number;
}

/** Carries appends to the database, and makes results and errors of what it answers. */
export class Appender {
  #closed = false;
  /** Appends that were taken and are not settled. */
  #open = 0;
  #onSettled: (() => void)[] = [];

  constructor(
    private readonly serializer: EventSerializer,
    private readonly call: AppendCall,
    private readonly queue: AppendQueue,
    private readonly reader: EventReader,
    private readonly callerTransactions: CallerTransactions,
    private readonly inline: InlineProjections,
    private readonly options: AppenderOptions,
  ) {}

  /** One append: with the others of this process, or inside the manager's transaction. */
  append(append: Append, manager: EntityManager | undefined): Promise<AppendResult> {
    if (manager) return this.appendAll([append], manager).then(([result]) => result!);
    return this.#take(() => this.#append(append));
  }

  /** Several appends, all or none: in a transaction of their own, or inside the manager's. */
  appendAll(
    appends: readonly Append[],
    manager: EntityManager | undefined,
  ): Promise<AppendResult[]> {
    return this.#take(async () => {
      return this.#appendAll(appends, manager && this.#join(manager));
    });
  }

  #join(manager: EntityManager): JoinedTransaction {
    try {
      return this.callerTransactions.join(manager);
    } catch (error) {
      // Its connection may be lost already.
      throw translateError(error);
    }
  }

  /** Resolves once all appends taken so far are settled. */
  async drain(): Promise<void> {
    while (this.#open > 0) await new Promise<void>((resolve) => this.#onSettled.push(resolve));
  }

  /** Takes no more appends and resolves once all that were taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drain();
  }

  async #take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreClosedError();
    this.#open++;
    try {
      return await work();
    } finally {
      this.#open--;
      if (this.#open === 0) for (const resolve of this.#onSettled.splice(0)) resolve();
    }
  }

  async #append(append: Append): Promise<AppendResult> {
    const preparing = prepareAppend(append, this.serializer, this.options);
    // Before anything is awaited: the order of appends is that of the calls.
    const place = this.queue.reserve([preparing.aggregate]);
    const prepared = isUnfinished(preparing)
      ? await this.#finish(place, preparing.finished)
      : preparing;
    if (this.inline.concernedBy([prepared]).length > 0) {
      return (await this.#appendAlone(place, [prepared]))[0]!;
    }
    const { resent, ...outcome } = await this.queue.sendInBatch(place, prepared);
    const result = await this.#toResult(prepared, outcome).catch((error: unknown) => {
      // What a repetition repeats could not be read; it is stored all the same.
      throw translateError(error, { ...factsOf([prepared]), mayBeStored: true });
    });
    // Sent twice with ids of our own, a repetition can only be of our own first attempt.
    const isOurs = resent && !prepared.hasCallerIds;
    if (!result.duplicate || isOurs) this.callerTransactions.report(result.records);
    return isOurs ? { ...result, duplicate: false } : result;
  }

  async #appendAll(
    appends: readonly Append[],
    joined: JoinedTransaction | undefined,
  ): Promise<AppendResult[]> {
    const call = prepareAppends(appends, this.serializer, this.options);
    if (call.aggregates.length === 0) return [];
    if (joined) return this.#appendIn(joined, await call.appends);
    const place = this.queue.reserve(call.aggregates);
    const prepared =
      call.appends instanceof Promise ? await this.#finish(place, call.appends) : call.appends;
    return this.#appendAlone(place, prepared);
  }

  /** Waits for what a schema says. A call that it refuses gives its place up. */
  async #finish<T>(place: Place, finished: Promise<T>): Promise<T> {
    try {
      return await finished;
    } catch (error) {
      this.queue.cancel(place);
      throw error;
    }
  }

  /** In the transaction of the caller, where nothing is tried twice: it may be aborted. */
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

  /** By a call, or in a transaction, of its own. */
  async #appendAlone(place: Place, prepared: readonly PreparedAppend[]): Promise<AppendResult[]> {
    const written = await this.queue.sendAlone(place, prepared, (patience) =>
      this.#attempt(place, prepared, patience),
    );
    // Sent twice with ids of our own, a repetition can only be of our own first attempt.
    const areOurs = place.resent && prepared.every((append) => !append.hasCallerIds);
    const results = areOurs ? written.map((result) => ({ ...result, duplicate: false })) : written;
    this.callerTransactions.report(newRecords(results));
    return results;
  }

  /**
   * Tries until it succeeds or fails for good.
   *
   * @throws AggregateHeld if another transaction is in the way: then it is to be tried again later.
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
        // One that a projection has run into is a HandlerFailure, and no reason to wait.
        if (isHeld(error)) throw new AggregateHeld({ cause: error });
        const cause = error instanceof HandlerFailure ? error.cause : error;
        // A lost connection once more, as the ids make that safe; a deadlock until it is gone.
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
      byKey.push(append.idAt && (await this.#resultByKey(append, outcomes[index]!, manager)));
    }
    const rest = prepared.filter((_, index) => !byKey[index]);
    const restOutcomes = outcomes.filter((_, index) => !byKey[index]);
    let others: AppendResult[] = [];
    if (rest.length < prepared.length && restOutcomes.some(isRefused)) {
      // Nothing was written. What has no key must not be written at each repetition of the others.
      const withoutKey = rest.some(({ idAt, events }) => !idAt && events.length > 0);
      if (withoutKey) throw besideNewAppends(prepared, byKey);
      others = await this.#send(rest, options);
    } else {
      await this.#refuse(rest, restOutcomes, manager);
      for (const [index, append] of rest.entries()) {
        others.push(await this.#toResult(append, restOutcomes[index]!, manager));
      }
    }
    return byKey.map((result) => result ?? others.shift()!);
  }

  async #toResult(
    append: PreparedAppend,
    outcome: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult> {
    const byKey = append.idAt && (await this.#resultByKey(append, outcome, manager));
    if (byKey) return byKey;
    if (outcome.outcome === 'duplicate') return this.#firstResult(append, outcome, manager);
    if (outcome.outcome !== 'ok') await this.#refuse([append], [outcome], manager);
    const { version, positions } = outcome;
    const first = version - append.events.length + 1;
    if (append.events.length === 0) {
      const { base } = await this.reader.aggregate(append.aggregate, version, 0, manager);
      return { version, position: base?.position ?? 0, records: [], duplicate: false };
    }

    const recordedAt = timeOf(outcome.recorded_at);
    const { aggregate } = append;
    const records = append.events.map((event, index) =>
      this.serializer.recordWritten(event, {
        position: positions[index]!,
        aggregate,
        version: first + index,
        recordedAt,
      }),
    );
    return { version, position: positions.at(-1) ?? 0, records, duplicate: false };
  }

  /** What an append answered that is repeated. Of removed events, there are no records. */
  async #firstResult(
    append: PreparedAppend,
    { version, positions }: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult> {
    const { aggregate, events: given } = append;
    const { events } = await this.reader.aggregate(
      aggregate,
      version - given.length,
      given.length,
      manager,
    );
    checkContent(append, version, events, this.serializer);
    const records = events
      .filter((event) => event.version <= version)
      .flatMap((event) => this.serializer.deserialize(event));
    return { version, position: positions.at(-1) ?? 0, records, duplicate: true };
  }

  /** What the first append with the same idempotency key answered; undefined if this one is the first. */
  async #resultByKey(
    { aggregate, events: given, idAt }: PreparedAppend,
    { outcome }: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult | undefined> {
    const mayBeStored =
      outcome === 'duplicate' || outcome === 'corrupt_duplicate' || given.length === 0;
    if (!idAt || !mayBeStored) return undefined;
    const places = await placesByKey(idAt, given.length, (ids) => this.reader.places(ids, manager));
    const last = places.at(-1);
    if (!last) return undefined;
    const { events } = await this.reader.aggregate(
      aggregate,
      places[0]!.version - 1,
      places.length,
      manager,
    );
    const records = events
      .filter(({ version }) => version <= last.version)
      .flatMap((event) => this.serializer.deserialize(event));
    return { version: last.version, position: last.position, records, duplicate: true };
  }

  /** Throws what the caller should know if an append was not written, or not for certain. */
  async #refuse(
    appends: readonly PreparedAppend[],
    outcomes: readonly AppendOutcome[],
    manager?: EntityManager,
  ): Promise<void> {
    const uncertain = appends.filter((_, index) => outcomes[index]!.outcome === 'uncertain');
    if (uncertain.length > 0) throw new DurabilityUncertainError(factsOf(uncertain).aggregates);
    for (const [index, append] of appends.entries()) {
      const { outcome, version } = outcomes[index]!;
      if (outcome === 'wrong_version') {
        const { aggregate, expectation } = append;
        throw new WrongExpectedVersionError(aggregate, expectation.expected, version);
      }
      if (outcome === 'corrupt_duplicate') {
        const ids = append.events.map(({ id }) => id);
        throw duplicateError(append, await this.reader.places(ids, manager));
      }
    }
  }
}

const isRefused = ({ outcome }: AppendOutcome): boolean =>
  outcome !== 'ok' && outcome !== 'duplicate';

/** Some appends of a call are stored by their keys, and others of it have no key. */
function besideNewAppends(
  appends: readonly PreparedAppend[],
  byKey: readonly (AppendResult | undefined)[],
): DuplicateEventError {
  const index = byKey.findIndex((result) => result !== undefined);
  const { aggregate, events, idAt } = appends[index]!;
  const { version, records } = byKey[index]!;
  return new DuplicateEventError(aggregate, [idAt!(1)], {
    reason: 'beside-new-appends',
    eventCount: events.length,
    storedIn: aggregate,
    storedFrom: records[0]?.version ?? version,
    storedTo: version,
  });
}

const factsOf = (prepared: readonly PreparedAppend[]): AppendFacts => ({
  aggregates: prepared.map((append) => append.aggregate),
  events: prepared.flatMap((append) => append.events),
});

/** What a projection throws is its own affair, unless the database has failed it. */
function toError(error: unknown, facts: AppendFacts): unknown {
  if (!(error instanceof HandlerFailure)) return translateError(error, facts);
  const { cause } = error;
  const isDatabases = isConnectionLoss(cause) || isTransactionConflict(cause);
  return isDatabases ? translateError(cause, facts) : cause;
}

const ignore = (): void => undefined;
