import type { EventMetadata } from './event-metadata.ts';
import { ownMetadata } from './own-metadata.ts';

/**
 * Returns `outer` with the members of `added`, which win key by key.
 *
 * @throws InvalidEventError if `added` is not metadata; see `ownMetadata`.
 */
export const mergeMetadata = (
  outer: EventMetadata,
  added: EventMetadata,
  eventType: string,
): EventMetadata => ({ ...outer, ...ownMetadata(added, eventType) });
