import type { EntityManager } from 'typeorm';
import { RepeatedEventIdError } from '../events/events.errors.ts';
import { errorOf } from '../events/thrown-error.ts';
import { EventData } from '../events/event-data.ts';
import type { EventSerializer, SerializedEvent } from '../events/event-serializer.ts';
import { KnownOptions } from '../events/known-options.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import { checkAggregateRef } from './check-aggregate-ref.ts';
import { dispatchedBy, dispatcherOf } from './dispatcher.ts';
import type { Append, AppendOptions } from './event-store.ts';
import { VersionExpectation } from './expected-version.ts';
import { AppendTooLargeError, DuplicateEventError } from './store.errors.ts';

/** An append that has been checked and serialized, and only waits for its place. */
export interface PreparedAppend {
  readonly aggregate: AggregateRef;
  readonly expectation: VersionExpectation;
  readonly events: readonly SerializedEvent[];
  /** Whether an event came with an id of the caller's, who may have appended it before. */
  readonly hasCallerIds: boolean;
}

export const appendOptions = new KnownOptions<AppendOptions>('An append', {
  expectedVersion: true,
  metadata: true,
  manager: true,
});
export const appendAllOptions = new KnownOptions<{ readonly manager?: EntityManager }>(
  'appendAll',
  { manager: true },
);
const eachAppend = new KnownOptions<Append>('An append', {
  aggregate: true,
  events: true,
  expectedVersion: true,
  metadata: true,
});

/** @throws TypeError unless it is a list, whose appends `prepareAppend` checks one by one. */
export function checkAppends(appends: readonly Append[]): void {
  if (!Array.isArray(appends)) throw new TypeError('appendAll takes a list of appends.');
}

/** An append that a schema still has to answer for. Its aggregate is known already. */
export interface UnfinishedAppend {
  readonly aggregate: AggregateRef;
  readonly finished: Promise<PreparedAppend>;
}

/** The appends of one call. */
export interface PreparedCall {
  readonly aggregates: readonly AggregateRef[];
  /** A promise only if a schema has answered with one. */
  readonly appends: readonly PreparedAppend[] | Promise<readonly PreparedAppend[]>;
}

/**
 * Checks an append and serializes its events: whatever is refused is refused here, before anything
 * is sent. It is unfinished only if a schema has answered with a promise.
 */
export function prepareAppend(
  append: Append,
  serializer: EventSerializer,
  maxAppendEvents: number,
): PreparedAppend | UnfinishedAppend {
  return prepare(eachAppend.take(append), serializer, maxAppendEvents);
}

function prepare(
  { aggregate: ref, events, expectedVersion, metadata }: Append,
  serializer: EventSerializer,
  maxAppendEvents: number,
): PreparedAppend | UnfinishedAppend {
  const aggregate = dispatchedBy(checkAggregateRef(ref), dispatcherOf(ref));
  const expectation = new VersionExpectation(expectedVersion);
  if (!Array.isArray(events)) throw new TypeError('events must be an array of events.');
  if (events.length > maxAppendEvents)
    throw new AppendTooLargeError(events.length, maxAppendEvents);

  const finish = (serialized: SerializedEvent[]): PreparedAppend => ({
    aggregate,
    expectation,
    events: serialized,
    hasCallerIds: events.some((event) => event instanceof EventData && event.id !== undefined),
  });
  const refuse = (thrown: unknown): never => {
    const error = errorOf(thrown);
    if (!(error instanceof RepeatedEventIdError)) throw thrown;
    const facts = { reason: 'repeated-id', eventCount: events.length } as const;
    throw new DuplicateEventError(aggregate, [error.eventId], facts, { cause: error });
  };
  try {
    const serialized = serializer.serialize(events, metadata);
    return serialized instanceof Promise
      ? { aggregate, finished: observed(serialized.then(finish, refuse)) }
      : finish(serialized);
  } catch (error) {
    return refuse(error);
  }
}

/** Prepares all appends of one call. @throws AppendTooLargeError if they have too many events together. */
export function prepareAppends(
  appends: readonly Append[],
  serializer: EventSerializer,
  maxAppendEvents: number,
): PreparedCall {
  const read = appends.map((append) => eachAppend.take(append));
  let eventCount = 0;
  for (const { events } of read) if (Array.isArray(events)) eventCount += events.length;
  if (eventCount > maxAppendEvents) throw new AppendTooLargeError(eventCount, maxAppendEvents);

  const prepared = read.map((append) => prepare(append, serializer, maxAppendEvents));
  const aggregates = prepared.map(({ aggregate }) => aggregate);
  return {
    aggregates,
    appends: prepared.some(isUnfinished)
      ? observed(
          Promise.all(prepared.map(async (each) => (isUnfinished(each) ? each.finished : each))),
        )
      : (prepared as PreparedAppend[]),
  };
}

/** Tells whether an append still waits for a schema. */
export const isUnfinished = (
  append: PreparedAppend | UnfinishedAppend,
): append is UnfinishedAppend => 'finished' in append;

/** Nobody waits for it if the call is refused for another reason; that must not end the process. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
