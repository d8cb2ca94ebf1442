import { nameBasedId } from '../../events/name-based-id.ts';
import { isStorableText } from '../../input/storable-text.ts';
import type { AggregateRef } from '../aggregate-ref.ts';

// Stored event ids derive from it, so it must never change.
const namespace = '3c9a1f5e-6d0b-4a35-9b57-0f4e8f2b7c11';

/** Returns the id of an append's event at a place, counted from 1. */
export type EventIdAt = (place: number) => string;

/**
 * Returns the ids of the events that are appended to an aggregate with an idempotency key: UUIDs of
 * version 5, made from the store, the aggregate, the place and the key.
 *
 * They depend on nothing else, so an append finds what an earlier append with the same key has stored,
 * in any process.
 *
 * @throws TypeError if the key is empty, or contains NUL or a lone surrogate.
 */
export function keyedEventIds(
  schema: string,
  { type, id }: AggregateRef,
  idempotencyKey: string,
): EventIdAt {
  if (!isStorableText(idempotencyKey) || idempotencyKey === '') {
    throw new TypeError(
      'idempotencyKey must be text that is not empty, without NUL or lone surrogates.',
    );
  }
  const store = nameBasedId(namespace, schema);
  // Only the key may contain a line break, and it comes last.
  return (place) => nameBasedId(store, `${type}\n${id}\n${place}\n${idempotencyKey}`);
}
