import { problemOfText } from '../../input/storable-text.ts';
import { InvalidEventError } from '../events.errors.ts';
import { formatPath, type PathStep } from './payload-path.ts';

/**
 * Refuses text that PostgreSQL cannot keep: NUL characters and halves of surrogate pairs.
 *
 * `json` is the JSON text of `copy`. JSON.stringify writes both as escapes, so a text without any `\u`,
 * which is nearly every payload, needs no further check.
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
    const reason = problemOfText(value);
    return reason === undefined ? undefined : { steps, reason: `contains ${reason}` };
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined;
  if (value instanceof Map || value instanceof Set) {
    return findUnstorableText([...value], steps);
  }
  for (const [key, member] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    const reason = problemOfText(key);
    if (reason !== undefined) {
      return { steps: [...steps, step], reason: `has a key that contains ${reason}` };
    }
    const found = findUnstorableText(member, [...steps, step]);
    if (found !== undefined) return found;
  }
  return undefined;
}
