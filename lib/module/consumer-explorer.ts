import type { InjectionToken } from '@nestjs/common';
import type { DiscoveryService, ModuleRef } from '@nestjs/core';
import { CommandBus, UnhandledExceptionBus, type IEventHandler } from '@nestjs/cqrs';
import type { HandlerClass } from '../handlers/bus-metadata.ts';
import {
  durableConsumer,
  type DurableSurroundings,
  type FoundConsumer,
} from '../handlers/durable-consumer.ts';
import { handlerEnhancers } from '../handlers/handler-enhancers.ts';
import { inheritanceProblems } from '../handlers/inherited-durable.ts';
import { reportOn } from '../handlers/unhandled-exceptions.ts';
import { consumerProblems, type NamedConsumer } from './consumer.problems.ts';
import { logger } from './log.ts';
import { defaultStoreName, getEventStoreToken } from './tokens.ts';
import type { EventRegistry } from '../events/event-registry.ts';
import { projectionConsumer } from '../projections/projection-consumer.ts';
import { projectionOf } from '../projections/projection.decorator.ts';
import type { Consumer } from '../subscriptions/consumer.ts';
import { durablesOf } from '../handlers/durable.decorator.ts';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];

/** The consumers of one store in this application, and their problems. */
export interface ExploredConsumers {
  readonly consumers: Consumer[];
  readonly problems: string[];
}

/** A consumer that was loaded after the application had started. */
export interface LateConsumer {
  readonly name: string;
  readonly className: string;
  readonly isInline: boolean;
}

/**
 * Finds the projections and durable handlers of one store among the application's providers.
 *
 * Takes every durable handler that it finds off the `EventBus`. Call it before `@nestjs/cqrs` looks for
 * handlers: in `onModuleInit`.
 */
export class ConsumerExplorer {
  readonly #explored = new Set<HandlerClass>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
    private readonly storeName: string,
    private readonly registry: EventRegistry,
  ) {}

  /**
   * Handlers are called only after `hasHandlers`: until then the buses cannot execute their commands.
   */
  explore(hasHandlers: Promise<void>): ExploredConsumers {
    const named: NamedConsumer[] = [];
    const problems: string[] = [];
    const surroundings = this.#surroundings(hasHandlers);
    for (const [providerClass, provider] of this.#providersByClass()) {
      this.#explored.add(providerClass);
      problems.push(
        ...inheritanceProblems(providerClass, ({ options }) => this.#concerns(options)),
      );
      for (const found of [
        ...this.#projections(providerClass, provider),
        ...this.#durables(providerClass, provider, surroundings),
      ]) {
        problems.push(...found.problems);
        if (found.consumer) {
          named.push({ consumer: found.consumer, className: providerClass.name });
        }
      }
    }
    problems.push(...consumerProblems(named, this.storeName, this.registry));
    return { consumers: named.map(({ consumer }) => consumer), problems };
  }

  /** Returns the consumers on classes that did not exist during `explore`. */
  late(): LateConsumer[] {
    const late = [...this.#providersByClass().keys()].filter((each) => !this.#explored.has(each));
    return late.flatMap((each) => {
      const projection = projectionOf(each);
      return [...(projection ? [projection] : []), ...durablesOf(each)]
        .filter(({ options }) => this.#concerns(options))
        .map(({ name }) => ({
          name,
          className: each.name,
          isInline: projection?.options.mode === 'inline',
        }));
    });
  }

  #projections(providerClass: HandlerClass, provider: Provider): FoundConsumer[] {
    const definition = projectionOf(providerClass);
    if (!definition) return [];
    const where = `@Projection('${definition.name}')`;
    if (!this.#concerns(definition.options)) return this.#elsewhere(where, definition.options);
    if (isSingleton(provider)) return [projectionConsumer(provider.instance, definition)];
    const problem =
      `${where}: ${providerClass.name} is transient or request-scoped, or injects something that ` +
      'is. No request belongs to a projection: make the class and what it injects singletons.';
    return [{ problems: [...definition.problems, problem] }];
  }

  #durables(
    providerClass: HandlerClass,
    provider: Provider,
    surroundings: DurableSurroundings,
  ): FoundConsumer[] {
    const { token, id } = provider;
    const instance = isSingleton(provider) ? (provider.instance as IEventHandler) : undefined;
    return durablesOf(providerClass).flatMap((definition) =>
      this.#concerns(definition.options)
        ? [durableConsumer(definition, providerClass, { token, id, instance }, surroundings)]
        : this.#elsewhere(`@Durable('${definition.name}')`, definition.options),
    );
  }

  #concerns({ store = defaultStoreName }: { readonly store?: string }): boolean {
    return store === this.storeName;
  }

  /** Reports a store that does not exist; no other check does. */
  #elsewhere(where: string, { store }: { readonly store?: string }): FoundConsumer[] {
    if (this.#find(getEventStoreToken(store))) return [];
    const problem =
      `${where} follows the store '${store}', which does not exist. Leave the option out for the ` +
      'default store, or name one that EventStoreModule.forRoot() has made.';
    return [{ problems: [problem] }];
  }

  /** Returns every class once, even if several modules provide it. */
  #providersByClass(): Map<HandlerClass, Provider> {
    const found = new Map<HandlerClass, Provider>();
    for (const provider of this.discovery.getProviders()) {
      const providerClass: unknown = provider.isNotMetatype
        ? (provider.instance as object | null)?.constructor
        : provider.metatype;
      if (provider.isAlias || typeof providerClass !== 'function') continue;
      const handlerClass = providerClass as HandlerClass;
      if (!found.has(handlerClass)) found.set(handlerClass, provider);
    }
    return found;
  }

  #surroundings(ready: Promise<void>): DurableSurroundings {
    const { moduleRef, registry } = this;
    const events = new Set(
      registry.readableTypes.flatMap((type) => registry.resolve(type)?.eventClass ?? []),
    );
    return {
      moduleRef,
      enhance: handlerEnhancers(moduleRef['container']),
      commandBus: this.#find(CommandBus),
      report: reportOn(this.#find(UnhandledExceptionBus), logger),
      ready,
      events: [...events],
    };
  }

  #find<T>(token: InjectionToken<T>): T | undefined {
    try {
      return this.moduleRef.get<T>(token, { strict: false });
    } catch {
      return undefined;
    }
  }
}

const isSingleton = (provider: Provider): boolean =>
  provider.isDependencyTreeStatic() && !provider.isTransient;
