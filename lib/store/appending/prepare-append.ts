import type { EntityManager } from 'typeorm';
import { RepeatedEventIdError } from '../../events/events.errors.ts';
import { errorOf } from '../../input/thrown-error.ts';
import { EventData } from '../../events/event-data.ts';
import type { EventSerializer, SerializedEvent } from '../../events/event-serializer.ts';
import { KnownOptions } from '../../input/known-options.ts';
import type { AggregateRef } from '../aggregate-ref.ts';
import { checkAggregateRef } from '../check-aggregate-ref.ts';
import { dispatchedBy, dispatcherOf } from './dispatcher.ts';
import type { Append, AppendOptions } from './append.ts';
import { VersionExpectation } from './expected-version.ts';
import { keyedEventIds } from './idempotency-key.ts';
import { PreparedAppend } from './prepared-append.ts';
import { AppendTooLargeError, DuplicateEventError } from './append.errors.ts';

/** What the appends of a store have in common. */
export interface PrepareOptions {
  /** The name of the store; the ids of idempotency keys derive from it. */
  readonly schema: string;
  readonly maxAppendEvents: number;
}

export const appendOptions = new KnownOptions<AppendOptions>('An append', {
  expectedVersion: true,
  metadata: true,
  idempotencyKey: true,
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
  idempotencyKey: true,
});

/** Returns the given appends. @throws TypeError if they are no list, or one has an unknown option. */
export function checkAppends(appends: readonly Append[]): readonly Append[] {
  if (!Array.isArray(appends)) throw new TypeError('appendAll takes a list of appends.');
  return appends.map((append: Append) => eachAppend.take(append));
}

/** An append whose schema has not answered yet. Its aggregate is already known. */
interface UnfinishedAppend {
  readonly aggregate: AggregateRef;
  readonly finished: Promise<PreparedAppend>;
}

/** The appends of one call. */
export interface PreparedCall {
  readonly aggregates: readonly AggregateRef[];
  /** A promise only if a schema has returned one. */
  readonly appends: readonly PreparedAppend[] | Promise<readonly PreparedAppend[]>;
}

/**
 * Checks an append and serializes its events, so that it is refused before anything is sent. The append
 * is unfinished only if a schema has returned a promise.
 */
function prepare(
  { aggregate: ref, events: given, expectedVersion, metadata, idempotencyKey }: Append,
  serializer: EventSerializer,
  { schema, maxAppendEvents }: PrepareOptions,
): PreparedAppend | UnfinishedAppend {
  const aggregate = dispatchedBy(checkAggregateRef(ref), dispatcherOf(ref));
  const expectation = new VersionExpectation(expectedVersion);
  if (!Array.isArray(given)) throw new TypeError('events must be an array of events.');
  if (given.length > maxAppendEvents) throw new AppendTooLargeError(given.length, maxAppendEvents);
  // Also finds a hole in the list, which `map` would skip.
  const missing = given.findIndex((event) => event === undefined);
  if (missing >= 0) throw new TypeError(`events[${missing}] must be an event, got undefined.`);
  const idAt =
    idempotencyKey === undefined ? undefined : keyedEventIds(schema, aggregate, idempotencyKey);
  const events = idAt ? given.map((event, index) => withId(event, idAt(index + 1))) : given;

  const hasCallerIds = events.some((event) => event instanceof EventData && event.id !== undefined);
  const finish = (serialized: SerializedEvent[]): PreparedAppend =>
    new PreparedAppend(
      { aggregate, expectation, events: serialized, hasCallerIds, idAt },
      serializer,
    );
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
  options: PrepareOptions,
): PreparedCall {
  const { maxAppendEvents } = options;
  let eventCount = 0;
  for (const { events } of appends) if (Array.isArray(events)) eventCount += events.length;
  if (eventCount > maxAppendEvents) throw new AppendTooLargeError(eventCount, maxAppendEvents);

  const prepared = appends.map((append) => prepare(append, serializer, options));
  const aggregates = prepared.map(({ aggregate }) => aggregate);
  if (!prepared.some(isUnfinished)) {
    return { aggregates, appends: withoutRepeatedIds(prepared as PreparedAppend[]) };
  }
  const finished = Promise.all(
    prepared.map(async (each) => (isUnfinished(each) ? each.finished : each)),
  );
  return { aggregates, appends: observed(finished.then(withoutRepeatedIds)) };
}

/** @throws DuplicateEventError if two of the appends have an event id in common. */
function withoutRepeatedIds(appends: readonly PreparedAppend[]): readonly PreparedAppend[] {
  const ids = new Set<string>();
  for (const { aggregate, events, hasCallerIds } of appends) {
    if (!hasCallerIds) continue;
    for (const { id } of events) {
      if (ids.has(id)) {
        const facts = { reason: 'repeated-id', eventCount: events.length } as const;
        throw new DuplicateEventError(aggregate, [id], facts);
      }
      ids.add(id);
    }
  }
  return appends;
}

/**
 * @throws TypeError if the event has an id of its own, because an append can have only one source of
 * ids.
 */
function withId(event: object, id: string): EventData {
  if (!(event instanceof EventData)) return new EventData(event, { id });
  if (event.id !== undefined) {
    throw new TypeError('With an idempotencyKey, events must not have ids of their own.');
  }
  const { metadata } = event;
  return new EventData(event.event as object, { id, ...(metadata && { metadata }) });
}

/** Returns whether an append still waits for a schema. */
const isUnfinished = (append: PreparedAppend | UnfinishedAppend): append is UnfinishedAppend =>
  'finished' in append;

/**
 * Observes a promise that stays unawaited if the call is refused; its rejection must not end the
 * process.
 */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
