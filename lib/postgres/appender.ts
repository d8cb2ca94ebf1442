import type { EntityManager } from 'typeorm';
import { rememberRecord, type EventRecord } from '../events/event-record.ts';
import type { EventSerializer } from '../events/event-serializer.ts';
import type { Append, AppendResult } from '../store/event-store.ts';
import { prepareAppend, type PreparedAppend } from '../store/prepare-append.ts';
import { DurabilityUncertainError } from '../store/database.errors.ts';
import {
  DuplicateEventError,
  StoreClosedError,
  WrongExpectedVersionError,
} from '../store/store.errors.ts';
import type { AppendCall, AppendOutcome, CallOptions } from './append-call.ts';
import type { AppendQueue } from './append-queue.ts';
import type { CallerTransactions, JoinedTransaction } from './caller-transactions.ts';
import type { EventReader } from './event-reader.ts';
import { InlineFailure, type InlineProjections, newRecords } from './inline-projections.ts';
import {
  type AppendFacts,
  isConnectionLoss,
  isOutcomeUnknown,
  isTransactionConflict,
  translateError,
} from './postgres-errors.ts';
import { timeOf } from './sql/microseconds.ts';

export interface AppenderOptions {
  readonly maxAppendEvents: number;
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
      return this.#appendAll(appends, manager && this.callerTransactions.join(manager));
    });
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
    const preparing = prepareAppend(append, this.serializer, this.options.maxAppendEvents);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    if (this.inline.concernedBy([prepared]).length > 0) {
      return (await this.#appendTogether([prepared], undefined))[0]!;
    }
    const { resent, ...outcome } = await this.queue.add(prepared);
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
    const prepared = await Promise.all(
      appends.map(async (append) =>
        prepareAppend(append, this.serializer, this.options.maxAppendEvents),
      ),
    );
    return prepared.length === 0 ? [] : this.#appendTogether(prepared, joined);
  }

  async #appendTogether(
    prepared: readonly PreparedAppend[],
    joined: JoinedTransaction | undefined,
  ): Promise<AppendResult[]> {
    const { value, resent } = await this.#trying(prepared, joined?.manager, (attempt) =>
      this.inline.inTransactionWith(prepared, joined, async (inner) => {
        const options: CallOptions = {
          allOrNothing: true,
          wait: true,
          ...attempt,
          manager: inner,
        };
        const outcomes = await this.call.send(prepared, options);
        refuse(prepared, outcomes);
        const written: AppendResult[] = [];
        for (const [index, outcome] of outcomes.entries()) {
          written.push(await this.#toResult(prepared[index]!, outcome, inner));
        }
        return written;
      }),
    );
    // Sent twice with ids of our own, a repetition can only be of our own first attempt.
    const areOurs = resent && prepared.every((append) => !append.hasCallerIds);
    const results = areOurs ? value.map((result) => ({ ...result, duplicate: false })) : value;
    const records = newRecords(results);
    if (joined) this.callerTransactions.remember(joined, records);
    else this.callerTransactions.report(records);
    return results;
  }

  /** Runs work until it succeeds or fails for good; in a caller's transaction only once. */
  async #trying<T>(
    prepared: readonly PreparedAppend[],
    manager: EntityManager | undefined,
    work: (attempt: Pick<CallOptions, 'lockTimeoutMs' | 'resent'>) => Promise<T>,
  ): Promise<{ readonly value: T; readonly resent: boolean }> {
    const lockTimeoutMs = manager ? undefined : this.options.lockTimeoutMs;
    let resent = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return { value: await work({ lockTimeoutMs, resent }), resent };
      } catch (error) {
        const cause = error instanceof InlineFailure ? error.cause : error;
        const isLost = isConnectionLoss(cause);
        // A lost connection once more, as the ids make that safe; a deadlock until it is gone.
        const mayRetry = isLost ? attempt === 1 : isTransactionConflict(cause);
        if (!manager && mayRetry && attempt < 10) {
          resent ||= isOutcomeUnknown(cause);
          continue;
        }
        // What a projection throws is its own affair, unless the database has failed it.
        if (error instanceof InlineFailure && !isLost && !isTransactionConflict(cause)) throw cause;
        throw translateError(cause, {
          ...factsOf(prepared),
          lockTimeoutMs,
          mayBeStored: resent,
        });
      }
    }
  }

  async #toResult(
    append: PreparedAppend,
    outcome: AppendOutcome,
    manager?: EntityManager,
  ): Promise<AppendResult> {
    refuse([append], [outcome]);
    const { version, positions } = outcome;
    const first = version - append.events.length + 1;
    if (outcome.outcome === 'duplicate') {
      const { events } = await this.reader.aggregate(
        append.aggregate,
        first - 1,
        append.events.length,
        'forward',
        manager,
      );
      const records = events.flatMap((event) => this.serializer.deserialize(event));
      return { version, position: events.at(-1)?.position ?? 0, records, duplicate: true };
    }

    const recordedAt = timeOf(outcome.recorded_at);
    const records = append.events.map((event, index): EventRecord => {
      const record = {
        id: event.id,
        position: positions[index]!,
        aggregate: append.aggregate,
        version: first + index,
        part: 0,
        type: event.type,
        revision: event.revision,
        event: event.event,
        metadata: event.metadataObject,
        recordedAt,
      };
      rememberRecord(record);
      return record;
    });
    return { version, position: positions.at(-1) ?? 0, records, duplicate: false };
  }
}

const factsOf = (prepared: readonly PreparedAppend[]): AppendFacts => ({
  aggregates: prepared.map((append) => append.aggregate),
  events: prepared.flatMap((append) => append.events),
});

/** Throws what the caller should know if an append was not written, or not for certain. */
function refuse(appends: readonly PreparedAppend[], outcomes: readonly AppendOutcome[]): void {
  const uncertain = appends.filter((_, index) => outcomes[index]!.outcome === 'uncertain');
  if (uncertain.length > 0) throw new DurabilityUncertainError(factsOf(uncertain).aggregates);
  for (const [index, { aggregate, expectation, events }] of appends.entries()) {
    const { outcome, version } = outcomes[index]!;
    if (outcome === 'wrong_version') {
      throw new WrongExpectedVersionError(aggregate, expectation.expected, version);
    }
    if (outcome === 'corrupt_duplicate') {
      throw new DuplicateEventError(
        aggregate,
        events.map((event) => event.id),
      );
    }
  }
}
