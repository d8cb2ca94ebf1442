import type { EventClass } from '../events/domain-event.decorator.ts';
import type { EventRegistry } from '../events/event-registry.ts';
import { UnregisteredEventError } from '../events/events.errors.ts';
import { problemOfName, nameRule } from '../input/printable-name.ts';
import type { Consumer } from '../subscriptions/consumer.ts';

const maxNameBytes = 255;

/** A consumer and the name of the class it was found on. */
export interface NamedConsumer {
  readonly consumer: Consumer;
  readonly className: string;
}

/** Returns the problems of all consumers of one store, each with its remedy. */
export function consumerProblems(
  found: readonly NamedConsumer[],
  storeName: string,
  registry: EventRegistry,
): string[] {
  const problems: string[] = [];
  const classes = new Map<string, string>();
  for (const { consumer, className } of found) {
    const { name, events } = consumer;
    if (problemOfName(name, maxNameBytes) !== undefined) {
      problems.push(
        `The consumer name '${name}' on ${className} must be ${nameRule(maxNameBytes)}.`,
      );
    }
    const otherClass = classes.get(name);
    if (otherClass !== undefined) {
      problems.push(
        `The consumer name '${name}' is used by ${otherClass} and by ${className}. Rename one of them: ` +
          'each name has one checkpoint.',
      );
    }
    classes.set(name, className);
    for (const event of events) {
      // The decorator reports a value that is no class.
      if (typeof event !== 'function' || isRegistered(event, registry)) continue;
      problems.push(
        `The consumer '${name}' takes ${event.name}, which is not registered in the store ` +
          `'${storeName}'. Add it to the events of an EventStoreModule.forFeature() for that store.`,
      );
    }
  }
  return problems;
}

function isRegistered(event: EventClass, registry: EventRegistry): boolean {
  try {
    registry.storedNames([event]);
    return true;
  } catch (error) {
    if (error instanceof UnregisteredEventError) return false;
    throw error;
  }
}
