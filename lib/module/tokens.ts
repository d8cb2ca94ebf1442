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

/** Selects a store in an application with several stores. */
export interface StoreSelection {
  /** The name of the store. @default 'default' */
  readonly store?: string;
}

const maxNameBytes = 255;

/** Returns the name. @throws TypeError if a store cannot have this name. */
export function checkStoreName(name: string): string {
  const problem = problemOfName(name, maxNameBytes);
  if (problem === undefined) return name;
  throw new TypeError(
    `The name of a store ${problem}; it must be ${nameRule(maxNameBytes)}. Give it by the option \`store\`.`,
  );
}

/** Returns the class itself for the default store. */
const tokenOf = <T>(of: Type<T>, name: string): InjectionToken<T> =>
  checkStoreName(name) === defaultStoreName ? of : `${of.name}(${name})`;

/**
 * Returns the injection token of a store: the class `EventStore` itself for the default one.
 *
 * @throws TypeError if a store cannot have this name; the functions for other tokens do the same.
 */
export function getEventStoreToken(name = defaultStoreName): InjectionToken<EventStore> {
  return tokenOf(EventStore, name);
}

/** Returns the injection token of a store's `Consumers`: the class itself for the default store. */
export function getConsumersToken(name = defaultStoreName): InjectionToken<Consumers> {
  return tokenOf(Consumers, name);
}

/**
 * Returns the injection token of a store's `EventLogVerifier`: the class itself for the default store.
 */
export function getEventLogVerifierToken(
  name = defaultStoreName,
): InjectionToken<EventLogVerifier> {
  return tokenOf(EventLogVerifier, name);
}

/** Returns the injection token of an application's consumers of a store; for internal use only. */
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

/** Injects a store by its name; inject the default store by its class, `EventStore`. */
export const InjectEventStore = (name = defaultStoreName): ParameterDecorator & PropertyDecorator =>
  Inject(getEventStoreToken(name));

/** Injects a store's `Consumers`; inject those of the default store by their class, `Consumers`. */
export const InjectConsumers = (name = defaultStoreName): ParameterDecorator & PropertyDecorator =>
  Inject(getConsumersToken(name));

/** Injects a store's log verifier; inject that of the default store by its class, `EventLogVerifier`. */
export const InjectEventLogVerifier = (
  name = defaultStoreName,
): ParameterDecorator & PropertyDecorator => Inject(getEventLogVerifierToken(name));

/** Injects the `AggregateRepository` of a class that was given to `forFeature`. */
export const InjectAggregateRepository = (
  aggregateClass: AggregateClass,
  name = defaultStoreName,
): ParameterDecorator & PropertyDecorator =>
  Inject(getAggregateRepositoryToken(aggregateClass, name));
