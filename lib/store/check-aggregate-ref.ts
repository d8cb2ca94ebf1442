import type { AggregateRef } from './aggregate-ref.ts';
import { InvalidAggregateRefError } from './store.errors.ts';

const maxBytes = { type: 255, id: 512 } as const;

/**
 * Refuses a reference that the database would change, truncate or reject.
 *
 * @throws InvalidAggregateRefError naming the member and what is wrong with it.
 */
export function checkAggregateRef(ref: AggregateRef): void {
  for (const field of ['type', 'id'] as const) {
    const fault = faultOf(ref?.[field], maxBytes[field]);
    if (fault !== undefined) throw new InvalidAggregateRefError(field, fault);
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
