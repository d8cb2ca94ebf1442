import { EventStoreError } from '../../event-store.error.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import type { ExpectedVersion } from './expected-version.ts';

const name = (aggregate: AggregateRef): string => `${aggregate.type}/${aggregate.id}`;

/** The aggregate is not at the version that the append expected. Nothing was written. */
export class WrongExpectedVersionError extends EventStoreError {
  readonly code = 'WRONG_EXPECTED_VERSION';

  constructor(
    readonly aggregate: AggregateRef,
    readonly expectedVersion: ExpectedVersion,
    readonly actualVersion: number,
  ) {
    super(
      `${name(aggregate)} was expected at version ${expectedVersion} but is at ${actualVersion}; ` +
        'nothing was written. Load it again and decide again.',
    );
  }
}

/**
 * Why an append is refused because of an event id that is already used:
 *
 * - `partly-stored`: its first events are already stored, at versions `storedFrom` to `storedTo`, and
 *   the others are new. This happens if a list has grown, or was cut differently, before a repetition.
 * - `other-content`: an event with the same id has another type or other content.
 * - `other-version`: all its events are stored, at a place that `expectedVersion` does not allow.
 * - `other-order`: its events are stored in another order, or with others before or between them.
 * - `other-aggregate`: an event is stored in another aggregate, `storedIn`.
 * - `beside-new-appends`: it is a repetition, and other appends of the same `appendAll` are new.
 * - `repeated-id`: two events of the call have the same id.
 */
export type DuplicateReason =
  | 'partly-stored'
  | 'other-content'
  | 'other-version'
  | 'other-order'
  | 'other-aggregate'
  | 'beside-new-appends'
  | 'repeated-id';

export interface DuplicateFacts {
  readonly reason: DuplicateReason;
  /** How many events the append has. */
  readonly eventCount: number;
  /** The aggregate in which the events are stored; undefined if it is not known. */
  readonly storedIn?: AggregateRef | undefined;
  /** How many of the append's first events are stored in its aggregate, one after another. */
  readonly storedCount?: number;
  /** The version of the first of them. */
  readonly storedFrom?: number | undefined;
  /** The version of the last of them. */
  readonly storedTo?: number | undefined;
  /** Whether these events were removed after they had been stored. */
  readonly isRemoved?: boolean;
}

/** An event id is already used, and not by the same append. Nothing was written. */
export class DuplicateEventError extends EventStoreError {
  readonly code = 'DUPLICATE_EVENT';
  readonly reason: DuplicateReason;
  readonly eventCount: number;
  readonly storedIn: AggregateRef | undefined;
  readonly storedCount: number;
  readonly storedFrom: number | undefined;
  readonly storedTo: number | undefined;
  readonly isRemoved: boolean;

  /** @param eventIds the ids that are already used. */
  constructor(
    readonly aggregate: AggregateRef,
    readonly eventIds: readonly string[],
    facts: DuplicateFacts,
    options?: ErrorOptions,
  ) {
    const ids = `${eventIds.slice(0, 5).join(', ')}${eventIds.length > 5 ? ', …' : ''}`;
    super(
      `The append to ${name(aggregate)} is refused, nothing was written: ` +
        `${duplicateSentences[facts.reason](facts)} Event ids: ${ids}.`,
      options,
    );
    this.reason = facts.reason;
    this.eventCount = facts.eventCount;
    this.storedIn = facts.storedIn;
    this.storedCount = facts.storedCount ?? 0;
    this.storedFrom = facts.storedFrom;
    this.storedTo = facts.storedTo;
    this.isRemoved = facts.isRemoved ?? false;
  }
}

const storedAt = ({ storedFrom, storedTo, isRemoved }: DuplicateFacts): string =>
  (storedFrom === storedTo
    ? `at version ${storedTo}`
    : `at versions ${storedFrom} to ${storedTo}`) + (isRemoved ? ', and removed since then' : '');

const duplicateSentences: Readonly<Record<DuplicateReason, (facts: DuplicateFacts) => string>> = {
  'partly-stored': (facts) =>
    `the first ${facts.storedCount} of its ${facts.eventCount} events were stored before, ` +
    `${storedAt(facts)}. Append only the events after them.`,
  'other-content': (facts) =>
    `events of these ids were stored before, ${storedAt(facts)}, with another type or other content. ` +
    'Use a new id for every new event.',
  'other-version': (facts) =>
    `its events were stored before, ${storedAt(facts)}, where its expectedVersion does not allow them. ` +
    'Repeat an append with the expectation of the first time.',
  'other-order': ({ isRemoved }) =>
    `some of its events were stored before${isRemoved ? ' and removed since then' : ''}, in another ` +
    'order or with other events before or between them. Repeat an append only as a whole.',
  'other-aggregate': ({ storedIn }) =>
    `an event of it was stored before in ${storedIn ? name(storedIn) : 'another aggregate'}. ` +
    'Use a new id for every new event.',
  'beside-new-appends': (facts) =>
    `its events were stored before, ${storedAt(facts)}, without the other appends of the call. ` +
    'Repeat a call of appendAll only as a whole.',
  'repeated-id': () => 'two events of the call have the same id. Use a new id for every new event.',
};

/** One call of `append` or `appendAll` has more events than the store was configured to take at once. */
export class AppendTooLargeError extends EventStoreError {
  readonly code = 'APPEND_TOO_LARGE';

  constructor(
    readonly eventCount: number,
    readonly maxAppendEvents: number,
  ) {
    super(
      `A call with ${eventCount} events is over maxAppendEvents (${maxAppendEvents}); nothing was ` +
        'written. Append in several steps, each with the version that the one before returned.',
    );
  }
}

/** Too many appends, or too many bytes, are waiting in this process. This append was not sent. */
export class StoreOverloadedError extends EventStoreError {
  readonly code = 'STORE_OVERLOADED';
  override readonly retryable = true;

  /**
   * @param limitedBy the limit that was reached: the number of waiting calls, or their size.
   */
  constructor(
    readonly limitedBy: 'maxQueuedAppends' | 'maxQueuedBytes',
    readonly maxQueuedAppends: number,
    readonly maxQueuedBytes: number,
  ) {
    super(
      (limitedBy === 'maxQueuedAppends'
        ? `${maxQueuedAppends} appends are waiting already (maxQueuedAppends)`
        : `With this append, more than ${maxQueuedBytes} bytes of events would be waiting`) +
        '; this one was not sent. Slow down or try again later.',
    );
  }
}

/** Another transaction held the aggregate, or a lock of the store, for too long. Nothing was written. */
export class AggregateLockedError extends EventStoreError {
  readonly code = 'AGGREGATE_LOCKED';
  override readonly retryable = true;

  constructor(
    readonly aggregates: readonly AggregateRef[],
    readonly waitedMs: number | undefined,
    options?: ErrorOptions,
    /** The name of a lock that no append takes, if another session held such a lock. */
    foreignLock?: string,
  ) {
    const wait = waitedMs === undefined ? '' : ` for more than ${waitedMs} ms (lockTimeoutMs)`;
    super(
      foreignLock === undefined
        ? `Another transaction held ${aggregates.map(name).join(', ') || 'what the statement needs'}` +
            `${wait}; nothing was written. Try again, and look for a transaction that appends and ` +
            'then stays open.'
        : `Another session holds ${foreignLock}, which the store never does; nothing was written. ` +
            'Look in pg_locks for the session, and try again once it is gone.',
      options,
    );
  }
}
