import { AsyncLocalStorage } from 'node:async_hooks';
import { eventIdOf } from './part-id.ts';

/** A value that JSON keeps as it is. */
export type JsonValue =
  string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue | undefined };

/**
 * What is stored beside an event: who caused it, why, and whatever else the caller adds.
 *
 * A JSON object. `correlationId` is shared by everything that one request set in motion;
 * `causationId` is the id under which the event is stored that a handler was reacting to.
 */
export interface EventMetadata {
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly actor?: string;
  readonly tenant?: string;
  readonly traceparent?: string;
  readonly [key: string]: JsonValue | undefined;
}

// Holds no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<EventMetadata>();

/**
 * Runs `work` so that every event appended inside it, however deep, carries `metadata`.
 *
 * Nested calls add to the outer metadata and win over it key by key. Returns what `work` returns.
 *
 * @throws TypeError if `metadata` is no object with members.
 *
 * @example
 * await runWithMetadata({ actor: user.id, correlationId: request.id }, () =>
 *   commandBus.execute(new ApproveApplication(id)),
 * );
 */
export function runWithMetadata<T>(metadata: EventMetadata, work: () => T): T {
  if (!hasMembers(metadata)) throw new TypeError('metadata must be an object with members.');
  return surrounding.run({ ...surrounding.getStore(), ...metadata }, work);
}

/**
 * Runs `work` as a reaction to a recorded event: what it appends names that event as its cause.
 *
 * Nothing else of the surrounding metadata is carried over, so that a reaction is the same wherever
 * and for whomever it runs.
 */
export function runAsReactionTo<T>(
  cause: { readonly id: string; readonly metadata: EventMetadata },
  work: () => T,
): T {
  const causationId = eventIdOf(cause);
  const correlationId = cause.metadata.correlationId ?? causationId;
  return surrounding.run({ correlationId, causationId }, work);
}

/** Returns the metadata that an event appended here and now would carry. */
export function currentMetadata(): EventMetadata {
  return surrounding.getStore() ?? {};
}

/**
 * Says whether metadata is an object with members.
 *
 * Text, lists, Maps and Dates are told apart: spread, they would come out changed or as nothing.
 */
export const hasMembers = (metadata: unknown): boolean =>
  Object.prototype.toString.call(metadata) === '[object Object]';
