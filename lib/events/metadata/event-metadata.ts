import { AsyncLocalStorage } from 'node:async_hooks';
import type { EventMetadata } from './metadata-members.ts';
import { hasMembers, ownMetadata } from './own-metadata.ts';
import { eventIdOf } from '../part-id.ts';

export type { EventMetadata, JsonValue } from './metadata-members.ts';

// This is no application state: each value lives in one asynchronous flow and ends with it.
const surrounding = new AsyncLocalStorage<EventMetadata>();

/**
 * Runs `work` so that every event appended inside it, at any depth, carries `metadata`.
 *
 * Nested calls add to the outer metadata; the inner value of a key wins. Returns what `work` returns.
 *
 * @throws TypeError if `metadata` is no object with members.
 * @throws InvalidEventError if a member cannot be read, or if a member that is declared as text is not
 * text; all other members are checked when an event is appended.
 *
 * @example
 * await runWithMetadata({ actor: user.id, correlationId: request.id }, () =>
 *   commandBus.execute(new ApproveApplication(id)),
 * );
 */
export function runWithMetadata<T>(metadata: EventMetadata, work: () => T): T {
  if (!hasMembers(metadata)) throw new TypeError('metadata must be an object with members.');
  const own = ownMetadata(metadata, undefined);
  return surrounding.run({ ...surrounding.getStore(), ...own }, work);
}

/** A recorded event that a reaction names as its cause. */
interface Cause {
  readonly id: string;
  readonly metadata: EventMetadata;
}

/**
 * Runs `work` as a reaction to a recorded event, which the events that it appends name as their cause.
 * A reaction to several events names no cause, and a correlation only if all of them share it.
 *
 * No other surrounding metadata is carried over, so that a reaction is the same wherever and for
 * whatever caller it runs.
 */
export function runAsReactionTo<T>(causes: Cause | readonly Cause[], work: () => T): T {
  const all = [causes].flat();
  const causationId = shared(all.map(eventIdOf));
  const correlationId = shared(all.map(correlationOf));
  const metadata = {
    ...(correlationId !== undefined && { correlationId }),
    ...(causationId !== undefined && { causationId }),
  };
  return surrounding.run(metadata, work);
}

function correlationOf(cause: Cause): string {
  const { correlationId: given } = cause.metadata as { readonly correlationId?: unknown };
  // Rows that other programs have written may hold anything, and a reaction must not fail because of
  // it.
  return typeof given === 'string' ? given : eventIdOf(cause);
}

const shared = ([first, ...others]: readonly string[]): string | undefined =>
  others.every((other) => other === first) ? first : undefined;

/** Returns the metadata that an event appended at this point would carry. */
export function currentMetadata(): EventMetadata {
  return surrounding.getStore() ?? {};
}
