import { type EventMetadata, hasMembers } from './event-metadata.ts';
import { InvalidEventError } from './events.errors.ts';

/**
 * Returns `outer` with the members of `added`, which win key by key.
 *
 * @throws InvalidEventError if `added` is no object with members, or one of them cannot be read.
 */
export function mergeMetadata(
  outer: EventMetadata,
  added: EventMetadata,
  eventType: string,
): EventMetadata {
  try {
    if (hasMembers(added)) return { ...outer, ...added };
  } catch (cause) {
    const reason = 'cannot be read: a getter or a Proxy threw';
    throw new InvalidEventError(eventType, 'metadata', reason, { cause });
  }
  throw new InvalidEventError(eventType, 'metadata', 'must be an object with members');
}
