import type { EntityManager } from 'typeorm';
import { RepeatedEventIdError } from '../events/events.errors.ts';
import { EventData } from '../events/event-data.ts';
import type { EventSerializer, SerializedEvent } from '../events/event-serializer.ts';
import { KnownOptions } from '../events/known-options.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import { checkAggregateRef } from './check-aggregate-ref.ts';
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

/**
 * Checks an append and serializes its events: whatever is refused is refused here, before anything
 * is sent. Answers at once unless a schema answers with a promise, so that appends keep their order.
 */
export function prepareAppend(
  append: Append,
  serializer: EventSerializer,
  maxAppendEvents: number,
): PreparedAppend | Promise<PreparedAppend> {
  const { aggregate: ref, events, expectedVersion, metadata } = eachAppend.take(append);
  const aggregate = checkAggregateRef(ref);
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
  const refuse = (error: unknown): never => {
    if (!(error instanceof RepeatedEventIdError)) throw error;
    throw new DuplicateEventError(aggregate, [error.eventId], { cause: error });
  };
  try {
    const serialized = serializer.serialize(events, metadata);
    return serialized instanceof Promise ? serialized.then(finish, refuse) : finish(serialized);
  } catch (error) {
    return refuse(error);
  }
}
