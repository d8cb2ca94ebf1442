import { Inject, type InjectionToken, type Type } from '@nestjs/common';
import type { AggregateRepository } from '../aggregates/aggregate-repository.ts';
import {
  aggregateOf,
  type AggregateClass,
  type IdentifiedAggregate,
} from '../aggregates/aggregate.decorator.ts';
import { UnknownAggregateError } from '../aggregates/aggregates.errors.ts';
import { EventLogVerifier } from '../evidence/event-log-verifier.ts';
import { nameRule, problemOfName } from '../input/printable-name.ts';
import { EventStore } from '../store/event-store.ts';
import { Consumers } from '../subscriptions/control/consumers.ts';

/** The name of a store that is configured without one. */
export const defaultStoreName = 'default';

/** Which store is meant, where an application has several. */
export interface StoreSelection {
  /** The name of the store. @default 'default' */
  readonly store?: string;
}

const maxNameBytes = 255;

/** Returns the name. @throws TypeError if it is not one that a store can have. */
export function checkStoreName(name: string): string {
  const problem = problemOfName(name, maxNameBytes);
  if (problem === undefined) return name;
  throw new TypeError(
    `The name of a store ${problem}; it must be ${nameRule(maxNameBytes)}. Give it by the option \`store\`.`,
  );
}

/** The class itself for the default store. */
const tokenOf = <T>(of: Type<T>, name: string): InjectionToken<T> =>
  checkStoreName(name) === defaultStoreName ? of : `${of.name}(${name})`;

/**
 * Returns the injection token of a store: the class `EventStore` itself for the default one.
 *
 * @throws TypeError if that is no name, as the other tokens of a store do.
 */
export function getEventStoreToken(name = defaultStoreName): InjectionToken<EventStore> {
  return tokenOf(EventStore, name);
}

/** Returns the injection token of the control of a store's consumers: the class for the default one. */
export function getConsumersToken(name = defaultStoreName): InjectionToken<Consumers> {
  return tokenOf(Consumers, name);
}

/** Returns the injection token of what verifies a store's log: the class for the default one. */
export function getEventLogVerifierToken(
  name = defaultStoreName,
): InjectionToken<EventLogVerifier> {
  return tokenOf(EventLogVerifier, name);
}

/** Returns the injection token of the consumers that an application has on a store; not for users. */
export const getApplicationConsumersToken = (name = defaultStoreName): string =>
  `EventStore(${name}).consumers`;

/**
 * Returns the injection token of an aggregate's repository in a store.
 *
 * @throws UnknownAggregateError if the class has no `@Aggregate`.
 */
export function getAggregateRepositoryToken<T extends IdentifiedAggregate>(
  aggregateClass: AggregateClass<T>,
  name = defaultStoreName,
): InjectionToken<AggregateRepository<T>> {
  const definition = aggregateOf(aggregateClass);
  if (!definition) throw new UnknownAggregateError(aggregateClass.name);
  return `AggregateRepository(${definition.type}, ${name})`;
}

/** Injects a store by its name; the default one is injected by its class, `EventStore`. */
export const InjectEventStore = (name = defaultStoreName): ParameterDecorator & PropertyDecorator =>
  Inject(getEventStoreToken(name));

/** Injects the control of a store's consumers; that of the default one by its class, `Consumers`. */
export const InjectConsumers = (name = defaultStoreName): ParameterDecorator & PropertyDecorator =>
  Inject(getConsumersToken(name));

/** Injects what verifies a store's log; that of the default one by its class, `EventLogVerifier`. */
export const InjectEventLogVerifier = (
  name = defaultStoreName,
): ParameterDecorator & PropertyDecorator => Inject(getEventLogVerifierToken(name));

/** Injects the `AggregateRepository` of a class that was given to `forFeature`. */
export const InjectAggregateRepository = (
  aggregateClass: AggregateClass,
  name = defaultStoreName,
): ParameterDecorator & PropertyDecorator =>
  Inject(getAggregateRepositoryToken(aggregateClass, name));
