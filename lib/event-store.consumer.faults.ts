import type { EventClass } from './events/domain-event.decorator.ts';
import type { EventRegistry } from './events/event-registry.ts';
import { UnregisteredEventError } from './events/events.errors.ts';
import type { Consumer } from './subscriptions/consumer.ts';

/** A consumer and the name of the class it was found on. */
export interface NamedConsumer {
  readonly consumer: Consumer;
  readonly className: string;
}

/** Returns what is wrong with the consumers of one store taken together, each fault with its remedy. */
export function consumerFaults(
  found: readonly NamedConsumer[],
  storeName: string,
  registry: EventRegistry,
): string[] {
  const faults: string[] = [];
  const holders = new Map<string, string>();
  for (const { consumer, className } of found) {
    const { name, events } = consumer;
    if (!isConsumerName(name)) {
      faults.push(
        `The consumer name '${name}' on ${className} must be well-formed text of 1 to 255 bytes ` +
          'without control characters.',
      );
    }
    const holder = holders.get(name);
    if (holder !== undefined) {
      faults.push(
        `The consumer name '${name}' stands on ${holder} and on ${className}. Rename one of them: ` +
          'each name has one checkpoint.',
      );
    }
    holders.set(name, className);
    for (const event of events) {
      // What is no class at all is a fault of the decorator, which tells it.
      if (typeof event !== 'function' || isRegistered(event, registry)) continue;
      faults.push(
        `The consumer '${name}' takes ${event.name}, which is not registered in the store ` +
          `'${storeName}'. Add it to the events of an EventStoreModule.forFeature() for that store.`,
      );
    }
  }
  return faults;
}

const isConsumerName = (name: unknown): boolean =>
  typeof name === 'string' &&
  name.trim() !== '' &&
  !/[\p{Cc}\p{Cs}]/u.test(name) &&
  Buffer.byteLength(name) <= 255;

function isRegistered(event: EventClass, registry: EventRegistry): boolean {
  try {
    registry.storedNames([event]);
    return true;
  } catch (error) {
    if (error instanceof UnregisteredEventError) return false;
    throw error;
  }
}
