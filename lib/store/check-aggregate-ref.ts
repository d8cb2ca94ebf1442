import { problemOfName } from '../input/printable-name.ts';
import type { AggregateRef } from './aggregate-ref.ts';
import { InvalidAggregateRefError } from './store.errors.ts';

const maxBytes = { type: 255, id: 512 } as const;

/**
 * Returns a copy of a reference, so that the checked value is the used value.
 *
 * @throws InvalidAggregateRefError if the database would change, truncate or reject it; the error names
 * the member and its problem.
 */
export function checkAggregateRef(ref: AggregateRef): AggregateRef {
  return { type: checkMember(ref, 'type'), id: checkMember(ref, 'id') };
}

function checkMember(ref: AggregateRef, field: 'type' | 'id'): string {
  const text = read(ref, field);
  const problem = problemOfName(text, maxBytes[field]);
  if (problem === undefined) return text as string;
  throw new InvalidAggregateRefError(field, problem);
}

function read(ref: AggregateRef, field: 'type' | 'id'): unknown {
  try {
    return ref?.[field];
  } catch (cause) {
    const reason = 'cannot be read: a getter or a Proxy threw';
    throw new InvalidAggregateRefError(field, reason, { cause });
  }
}
