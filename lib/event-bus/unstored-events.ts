import type { EventBus } from '@nestjs/cqrs';
import { recordOf } from '../events/event-record.ts';
import type { OperatorLog } from '../store/operator-log.ts';

/** A consumer of the log that looks like a handler of the bus. */
interface DurableConsumer {
  readonly kind: string;
  readonly name: string;
  readonly events: readonly { readonly prototype: unknown }[];
}

/**
 * Warns, once for each class of events, if an event is published without being stored although a
 * durable handler or saga takes it: durable consumers follow the log and would never see this event.
 *
 * Checks what the application hands to the bus, not what comes out of it: a publisher may send an event
 * elsewhere, or bring back a copy of a stored one.
 */
export function warnOfUnstoredEvents(
  bus: EventBus,
  consumers: Iterable<DurableConsumer>,
  log: OperatorLog,
): void {
  const takers = new Map<object, string[]>();
  for (const { kind, name, events } of consumers) {
    if (kind !== 'handler' && kind !== 'saga') continue;
    for (const { prototype } of events) {
      takers.set(prototype as object, [...(takers.get(prototype as object) ?? []), name]);
    }
  }
  if (takers.size === 0) return;

  const look = (event: unknown): void => {
    if (typeof event !== 'object' || event === null || recordOf(event)) return;
    const prototype = Object.getPrototypeOf(event) as object | null;
    const names = prototype && takers.get(prototype);
    if (!names) return;
    takers.delete(prototype);
    log.warn(
      `${event.constructor.name} was published on the EventBus without being stored, so it does not ` +
        `reach the durable consumers that take it: ${names.join(', ')}. Append it to the event store, ` +
        'or save its aggregate, instead of calling publish() or commit(): the store then publishes it. ' +
        'This is logged once for each class of events.',
    );
  };
  for (const method of ['publish', 'publishAll'] as const) {
    const original = bus[method] as ((...args: unknown[]) => unknown) | undefined;
    // A test may bring its own bus with only one of the methods.
    if (!original) continue;
    const looking = (given: unknown, ...surroundings: unknown[]): unknown => {
      for (const event of [given ?? []].flat()) look(event);
      return original.call(bus, given, ...surroundings);
    };
    Object.assign(bus, { [method]: looking });
  }
}
