import type { AggregateRef } from './aggregate-ref.ts';
import { InvalidAggregateRefError } from './store.errors.ts';

const maxBytes = { type: 255, id: 512 } as const;

/**
 * Returns a reference by value, so that what was checked is what is used.
 *
 * @throws InvalidAggregateRefError if the database would change, truncate or reject it; it names the
 * member and what is wrong with it.
 */
export function checkAggregateRef(ref: AggregateRef): AggregateRef {
  return { type: checkMember(ref, 'type'), id: checkMember(ref, 'id') };
}

function checkMember(ref: AggregateRef, field: 'type' | 'id'): string {
  const text = read(ref, field);
  const fault = faultOf(text, maxBytes[field]);
  if (fault === undefined) return text as string;
  throw new InvalidAggregateRefError(field, fault);
}

function read(ref: AggregateRef, field: 'type' | 'id'): unknown {
  try {
    return ref?.[field];
  } catch (cause) {
    const reason = 'cannot be read: a getter or a Proxy threw';
    throw new InvalidAggregateRefError(field, reason, { cause });
  }
}

function faultOf(text: unknown, limit: number): string | undefined {
  if (typeof text !== 'string') return `is ${text === null ? 'null' : `of type ${typeof text}`}`;
  if (text.trim() === '') return text === '' ? 'is empty' : 'is blank';
  if (/\p{Cc}/u.test(text)) return 'contains a control character';
  // A lone surrogate would reach the database as U+FFFD and make different ids equal.
  if (/\p{Cs}/u.test(text)) return 'contains a lone surrogate';
  const bytes = Buffer.byteLength(text);
  return bytes > limit ? `is ${bytes} bytes long` : undefined;
}
