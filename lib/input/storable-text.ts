import { InvalidEventError } from '../events/events.errors.ts';
import { formatPath, type PathStep } from '../events/payload/payload-path.ts';

/**
 * Refuses text that PostgreSQL cannot keep: NUL characters and halves of surrogate pairs.
 *
 * `json` is the JSON text of `copy`. JSON.stringify writes both as escapes, so that a text without
 * any `\u` needs no second look; that is nearly every payload.
 *
 * @throws InvalidEventError with the path of the first such string or key.
 */
export function refuseUnstorableText(
  json: string,
  copy: unknown,
  type: string | undefined,
  root: string,
): void {
  if (!json.includes('\\u')) return;
  const found = findUnstorableText(copy, []);
  if (found !== undefined) {
    throw new InvalidEventError(type, formatPath(found.steps, root), found.reason);
  }
}

interface UnstorableText {
  readonly steps: readonly PathStep[];
  readonly reason: string;
}

function findUnstorableText(
  value: unknown,
  steps: readonly PathStep[],
): UnstorableText | undefined {
  if (typeof value === 'string') {
    const reason = reasonAgainst(value);
    return reason === undefined ? undefined : { steps, reason: `contains ${reason}` };
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined;
  if (value instanceof Map || value instanceof Set) {
    return findUnstorableText([...value], steps);
  }
  for (const [key, member] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    const reason = reasonAgainst(key);
    if (reason !== undefined) {
      return { steps: [...steps, step], reason: `has a key that contains ${reason}` };
    }
    const found = findUnstorableText(member, [...steps, step]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Says whether PostgreSQL keeps a text as it is, and can compare with it. */
export const isStorableText = (text: unknown): text is string =>
  typeof text === 'string' && reasonAgainst(text) === undefined;

function reasonAgainst(text: string): string | undefined {
  if (text.includes('\0')) return 'a NUL character, which PostgreSQL cannot store; remove it';
  if (/\p{Cs}/u.test(text)) return 'half of a surrogate pair, which is not text; repair it';
  return undefined;
}
