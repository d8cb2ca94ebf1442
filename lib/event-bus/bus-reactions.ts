import type { EventBus } from '@nestjs/cqrs';
import { runAsReactionTo } from '../events/metadata/event-metadata.ts';
import { recordOf } from '../events/event-record.ts';

/**
 * Makes handlers and sagas of a stored event run as reactions to that event, whichever publisher hands
 * it to the bus, alone or with others.
 *
 * Every handler and saga receives events through the subject of the bus, one event at a time.
 */
export function reactToStoredEvents(bus: EventBus): void {
  const subject: EventBus['subject$'] | undefined = bus.subject$;
  // A test may bring its own bus.
  if (!subject) return;
  const next = subject.next.bind(subject);
  subject.next = (event) => {
    const record = isObject(event) ? recordOf(event) : undefined;
    if (record) runAsReactionTo(record, () => next(event));
    else next(event);
  };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
