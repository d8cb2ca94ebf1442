import type { EventMetadata } from './metadata-members.ts';
import { InvalidEventError } from '../events.errors.ts';
import { memberNamesOf } from '../../input/known-options.ts';

/** The members that have a meaning of their own; all of them are text. */
const textMembers = ['actor', 'tenant', 'correlationId', 'causationId', 'traceparent'] as const;

/**
 * Returns a plain copy of metadata, each member read once, wherever it comes from.
 *
 * @throws InvalidEventError if it is no object with members, if a member cannot be read, or if a member
 * that is declared as text is not text: a reader would compare it with text and miss it.
 */
export function ownMetadata(given: EventMetadata, eventType: string | undefined): EventMetadata {
  const metadata = copyOf(given, eventType);
  for (const name of textMembers) {
    const value: unknown = metadata[name];
    if (value === undefined || typeof value === 'string') continue;
    const kind = value === null ? 'null' : `of type ${typeof value}`;
    throw new InvalidEventError(eventType, `metadata.${name}`, `is ${kind} and must be text`);
  }
  return metadata;
}

function copyOf(given: EventMetadata, eventType: string | undefined): EventMetadata {
  try {
    if (hasMembers(given)) {
      return Object.getPrototypeOf(given) === Object.prototype
        ? { ...given }
        : Object.fromEntries(memberNamesOf(given).map((name) => [name, given[name]]));
    }
  } catch (cause) {
    const reason = 'cannot be read: a getter or a Proxy threw';
    throw new InvalidEventError(eventType, 'metadata', reason, { cause });
  }
  throw new InvalidEventError(eventType, 'metadata', 'must be an object with members');
}

/**
 * Says whether metadata is an object with members.
 *
 * Refuses text, lists, Maps and Dates: a spread would change them or lose them.
 */
export const hasMembers = (metadata: unknown): boolean =>
  Object.prototype.toString.call(metadata) === '[object Object]';
