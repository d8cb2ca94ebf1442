import { domainEventProblems, domainEventOptionNames } from './domain-event.problems.ts';
import type { DomainEventDefinition, DomainEventOptions, EventClass } from './domain-event.ts';
import { ownOptions } from '../input/known-options.ts';

export type {
  DateMembers,
  DomainEventDefinition,
  DomainEventOptions,
  EventClass,
} from './domain-event.ts';

// In the global symbol registry, so that two copies of this package in one process share the key.
const definitionKey = Symbol.for('nest-event-store:domain-event');

/**
 * Declares a class as a domain event. `name` is stored with every event, so it must never change.
 *
 * Events are plain data. They are revived without a call of the constructor: only the prototype and the
 * own members are restored. A wrong argument is reported when the class is registered.
 *
 * @example
 * @DomainEvent('loan-application.submitted', { dates: ['submittedAt'] })
 * export class ApplicationSubmitted {
 *   constructor(readonly amount: number, readonly submittedAt: Date) {}
 * }
 */
export function DomainEvent(
  name: string,
  options: DomainEventOptions = {},
): (eventClass: EventClass) => void {
  const given = ownOptions('@DomainEvent', options, domainEventOptionNames);
  return (eventClass) => {
    const { revision = 1, schema, dates = [], aliases = [] } = given;
    const problems = domainEventProblems(eventClass.name, name, given);
    const definition: DomainEventDefinition = Object.freeze({
      name,
      revision,
      schema,
      dates,
      aliases,
      eventClass,
      problems,
    });
    Object.defineProperty(eventClass, definitionKey, { value: definition });
  };
}

/** Returns what `@DomainEvent` on this class itself says; a parent's decorator does not count. */
export function domainEventOf(eventClass: EventClass): DomainEventDefinition | undefined {
  return Object.getOwnPropertyDescriptor(eventClass, definitionKey)?.value;
}
