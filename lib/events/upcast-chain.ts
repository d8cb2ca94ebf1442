import { types } from 'node:util';
import type { DomainEventDefinition } from './domain-event.ts';
import type { EventRegistry } from './event-registry.ts';
import { UnknownEventTypeError, UpcastError } from './events.errors.ts';
import type { UpcastContext, UpcastEvent, UpcastPayload, Upcaster } from './upcaster.ts';

/** An event brought to the revision of the class that it is read as. */
export interface UpcastResult {
  readonly definition: DomainEventDefinition;
  readonly payload: object;
}

/**
 * Applies upcasters to a stored event until none matches.
 *
 * @throws UpcastError if an upcaster fails or the revision of the class is not reached.
 * @throws UnknownEventTypeError if no class is registered for where it ends.
 */
export function upcastToCurrent(
  stored: UpcastEvent,
  context: UpcastContext,
  registry: EventRegistry,
): UpcastResult[] {
  return upcastFurther(stored, context, registry, []);
}

function upcastFurther(
  event: UpcastEvent,
  context: UpcastContext,
  registry: EventRegistry,
  passed: readonly Upcaster[],
): UpcastResult[] {
  const upcaster = registry.upcasterFor(event.type, event.revision);
  if (upcaster === undefined) return [current(event, context, registry)];
  if (passed.includes(upcaster)) {
    throw upcastError(
      event,
      context,
      'its upcasters lead back to this revision; remove the circle',
    );
  }
  return apply(upcaster, event, context).flatMap((next) =>
    upcastFurther(next, context, registry, [...passed, upcaster]),
  );
}

function apply(upcaster: Upcaster, event: UpcastEvent, context: UpcastContext): UpcastEvent[] {
  let upcast: unknown;
  try {
    upcast = upcaster.upcast(event.payload, context);
  } catch (cause) {
    throw upcastError(event, context, 'its upcaster threw; see the cause', { cause });
  }
  if (Array.isArray(upcast) && upcast.length > 0 && upcast.every(isUpcastEvent)) return upcast;
  if (isPayload(upcast)) {
    return [{ type: event.type, revision: event.revision + 1, payload: upcast }];
  }
  throw upcastError(
    event,
    context,
    'its upcaster must return a payload or a list of { type, revision, payload }, at once',
  );
}

function current(
  { type, revision, payload }: UpcastEvent,
  context: UpcastContext,
  registry: EventRegistry,
): UpcastResult {
  const { position, aggregate } = context;
  const definition = registry.resolve(type);
  if (definition === undefined) {
    throw new UnknownEventTypeError(type, position, aggregate, registry.nearest(type));
  }
  if (revision === definition.revision) return { definition, payload };
  throw upcastError(
    { type, revision },
    context,
    revision < definition.revision
      ? `its class is at revision ${definition.revision} and no upcaster reads revision ` +
          `${revision}; add one to forFeature({ upcasters: […] })`
      : `its class is at revision ${definition.revision}; a newer version of the application ` +
          'wrote it, so deploy that version here, too',
  );
}

function upcastError(
  { type, revision }: Omit<UpcastEvent, 'payload'>,
  { position, aggregate }: UpcastContext,
  reason: string,
  options?: ErrorOptions,
): UpcastError {
  return new UpcastError(type, revision, position, aggregate, reason, options);
}

function isUpcastEvent(value: unknown): value is UpcastEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { type, revision, payload } = value as Partial<UpcastEvent>;
  return typeof type === 'string' && Number.isSafeInteger(revision) && isPayload(payload);
}

function isPayload(value: unknown): value is UpcastPayload {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !types.isPromise(value)
  );
}
