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

/** The most events that one stored event may be read as, so that a page of the log stays bounded. */
const maxParts = 1_000;

/** An event during upcasting, and the upcasters that were applied to it. */
interface Step {
  readonly event: UpcastEvent;
  readonly passed: readonly Upcaster[];
}

/**
 * Applies upcasters to a stored event until none matches.
 *
 * @throws UpcastError if an upcaster fails, if upcasters make more than 1,000 events of one event, or
 * if the revision of the class is not reached.
 * @throws UnknownEventTypeError if no class is registered for the resulting type.
 */
export function upcastToCurrent(
  stored: UpcastEvent,
  context: UpcastContext,
  registry: EventRegistry,
): UpcastResult[] {
  const results: UpcastResult[] = [];
  // The first step is done next, so that the results keep the order in which upcasters list events.
  const steps: Step[] = [{ event: stored, passed: [] }];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    const { event, passed } = step;
    const upcaster = registry.upcasterFor(event.type, event.revision);
    if (upcaster === undefined) {
      results.push(current(event, context, registry));
      continue;
    }
    if (passed.includes(upcaster)) {
      const reason = 'its upcasters lead back to this revision; remove the circle';
      throw upcastError(event, context, reason);
    }
    const events = apply(upcaster, event, context, maxParts - results.length - steps.length);
    const nowPassed = [...passed, upcaster];
    for (const next of events.toReversed()) steps.push({ event: next, passed: nowPassed });
  }
  return results;
}

function apply(
  upcaster: Upcaster,
  event: UpcastEvent,
  context: UpcastContext,
  room: number,
): readonly UpcastEvent[] {
  let reason =
    'its upcaster must return a payload or a list of { type, revision, payload }, at once';
  try {
    const upcast: unknown = upcaster.upcast(event.payload, context);
    if (isPayload(upcast)) {
      return [{ type: event.type, revision: event.revision + 1, payload: upcast }];
    }
    // The rejection of an upcaster that is async by mistake must not end the process.
    if (types.isPromise(upcast)) upcast.catch(ignore);
    if (Array.isArray(upcast) && upcast.length > room) {
      reason =
        `its upcasters make more than ${maxParts} events of it; return fewer, or append new events ` +
        'instead';
    } else if (Array.isArray(upcast) && upcast.length > 0 && upcast.every(isUpcastEvent)) {
      return upcast.map(({ type, revision, payload }) => ({ type, revision, payload }));
    }
  } catch (cause) {
    throw upcastError(event, context, 'its upcaster threw; see the cause', { cause });
  }
  throw upcastError(event, context, reason);
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
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    typeof (value as { then?: unknown }).then !== 'function'
  );
}

const ignore = (): void => undefined;
