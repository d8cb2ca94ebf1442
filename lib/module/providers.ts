import type { DynamicModule, InjectionToken, Provider } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ModuleRef } from '@nestjs/core';
import { AggregateRepositories } from '../aggregates/aggregate-repositories.ts';
import type { AggregateClass } from '../aggregates/aggregate.decorator.ts';
import { EventBusBridge } from '../event-bus/event-bus-bridge.ts';
import { EventStoreConfigurationError } from './configuration.error.ts';
import { ApplicationConsumers, type BootedStore } from './application-consumers.ts';
import { ConsumerExplorer } from './consumer-explorer.ts';
import { EventStoreLifecycle } from './lifecycle.ts';
import { logger, warn } from './log.ts';
import { MODULE_OPTIONS_TOKEN } from './module-definition.ts';
import {
  resolveOptions,
  type EventStoreOptions,
  type OptionsResolution,
  type ResolvedOptions,
} from './options.ts';
import {
  checkStoreName,
  defaultStoreName,
  getAggregateRepositoryToken,
  getApplicationConsumersToken,
  getConsumersToken,
  getEventLogVerifierToken,
  getEventStoreToken,
  type StoreSelection,
} from './tokens.ts';
import type { EventClass } from '../events/domain-event.decorator.ts';
import { EventLogVerifier } from '../evidence/event-log-verifier.ts';
import { UnsupportedChainedLog } from '../evidence/unsupported.chained-log.ts';
import { EventRegistry } from '../events/event-registry.ts';
import { KnownOptions } from '../input/known-options.ts';
import type { Upcaster } from '../events/upcaster.ts';
import { EventStore } from '../store/event-store.ts';
import { Consumers } from '../subscriptions/control/consumers.ts';
import { UnsupportedConsumerRegistry } from '../subscriptions/control/unsupported.consumer-registry.ts';

/** What `EventStoreModule.forFeature` registers in a store. */
export interface EventStoreFeature {
  /** Aggregate classes, each with `@Aggregate`: their repositories can be injected. */
  readonly aggregates?: readonly AggregateClass[];
  /** Event classes, each with `@DomainEvent`; other events can be neither stored nor read. */
  readonly events?: readonly EventClass[];
  readonly upcasters?: readonly Upcaster[];
}

export const featureOptions = new KnownOptions<EventStoreFeature>('The feature of forFeature', {
  aggregates: true,
  events: true,
  upcasters: true,
});

/** The options of `forFeature` besides the feature. */
export const featureStore = new KnownOptions<StoreSelection>('forFeature', { store: true });

/** Makes a store. The values that `inject` names are passed after the options and the registry. */
export interface StoreFactory {
  readonly inject?: readonly InjectionToken[];
  readonly boot: (
    options: ResolvedOptions,
    registry: EventRegistry,
    // The injected values have the types that the factory expects for its tokens.
    ...injected: never[]
  ) => BootedStore | Promise<BootedStore>;
}

const token = (name: string, part: string): string => `EventStore(${checkStoreName(name)}).${part}`;

/** Completes a module with a store that the whole application may inject. */
export function withStore(
  definition: DynamicModule,
  name: string | undefined,
  factory: StoreFactory,
): DynamicModule {
  return {
    ...definition,
    global: true,
    imports: [...(definition.imports ?? []), DiscoveryModule],
    providers: [...(definition.providers ?? []), ...storeProviders(name, factory)],
    exports: storeExports(name),
  };
}

/** The tokens of a store that the application's other modules may inject. */
const storeExports = (name = defaultStoreName): InjectionToken[] => [
  getEventStoreToken(name),
  getConsumersToken(name),
  getEventLogVerifierToken(name),
  token(name, 'registry'),
  token(name, 'repositories'),
];

/** Returns the providers of one store. */
function storeProviders(name = defaultStoreName, { inject = [], boot }: StoreFactory): Provider[] {
  return [
    { provide: token(name, 'registry'), useFactory: () => new EventRegistry() },
    {
      provide: token(name, 'options'),
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: (options?: EventStoreOptions) => resolveOptions(options),
    },
    {
      provide: token(name, 'booted'),
      inject: [token(name, 'options'), token(name, 'registry'), ...inject],
      useFactory: (
        { options, problems }: OptionsResolution,
        registry: EventRegistry,
        ...injected: never[]
      ) =>
        // Wrong options end the boot, but only after all classes are checked; until then the database
        // is left as it is.
        boot(
          problems.length > 0 ? { ...options, migrations: 'off' } : options,
          registry,
          ...injected,
        ),
    },
    {
      provide: token(name, 'bridge'),
      inject: [token(name, 'booted'), token(name, 'options'), token(name, 'registry')],
      useFactory: (
        { store }: BootedStore,
        { options }: OptionsResolution,
        registry: EventRegistry,
      ) =>
        new EventBusBridge(
          store,
          { ...options, readableTypes: () => registry.readableTypes },
          logger,
        ),
    },
    {
      provide: getEventStoreToken(name),
      // The listeners for appends are created before any caller has the store to append with.
      inject: [token(name, 'booted'), token(name, 'bridge'), getApplicationConsumersToken(name)],
      useFactory: ({ store }: BootedStore) => store,
    },
    {
      provide: token(name, 'repositories'),
      inject: [getEventStoreToken(name), token(name, 'options')],
      useFactory: (store: EventStore, { options }: OptionsResolution) =>
        new AggregateRepositories(store, {
          cacheSize: options.aggregateCacheSize,
          onWarning: warn,
        }),
    },
    {
      provide: getApplicationConsumersToken(name),
      inject: [
        token(name, 'booted'),
        token(name, 'options'),
        token(name, 'registry'),
        DiscoveryService,
        ModuleRef,
      ],
      useFactory: (
        booted: BootedStore,
        { options }: OptionsResolution,
        registry: EventRegistry,
        discovery: DiscoveryService,
        moduleRef: ModuleRef,
      ) =>
        new ApplicationConsumers(
          new ConsumerExplorer(discovery, moduleRef, name, registry),
          booted,
          { ...options, storedTypes: (events) => registry.namesReadAs(events), log: logger },
        ),
    },
    {
      provide: getConsumersToken(name),
      inject: [getEventStoreToken(name), token(name, 'booted'), getApplicationConsumersToken(name)],
      useFactory: (store: EventStore, booted: BootedStore, here: ApplicationConsumers) =>
        new Consumers(store, booted.consumers?.registry ?? new UnsupportedConsumerRegistry(), here),
    },
    {
      provide: getEventLogVerifierToken(name),
      inject: [token(name, 'booted')],
      useFactory: ({ chainedLog }: BootedStore) =>
        new EventLogVerifier(chainedLog ?? new UnsupportedChainedLog()),
    },
    {
      provide: EventStoreLifecycle,
      inject: [
        token(name, 'booted'),
        token(name, 'options'),
        token(name, 'bridge'),
        token(name, 'registry'),
        token(name, 'repositories'),
        getApplicationConsumersToken(name),
        DiscoveryService,
        ModuleRef,
      ],
      useFactory: (
        booted: BootedStore,
        { options, problems }: OptionsResolution,
        bridge: EventBusBridge,
        registry: EventRegistry,
        repositories: AggregateRepositories,
        consumers: ApplicationConsumers,
        discovery: DiscoveryService,
        moduleRef: ModuleRef,
      ) =>
        new EventStoreLifecycle(
          { eventBus: options.eventBus, storeName: name },
          booted,
          bridge,
          consumers,
          () => [
            ...problems,
            ...twinProblems(discovery, name),
            ...booted.problems,
            ...registry.problems,
            ...repositories.problems,
          ],
          moduleRef,
        ),
    },
  ];
}

/**
 * Reports two stores of one name: they would share their tokens, and each get a part of the
 * registrations.
 */
function twinProblems(discovery: DiscoveryService, name: string): readonly string[] {
  const booted = token(name, 'booted');
  const stores = discovery.getProviders().filter((provider) => provider.token === booted);
  if (stores.length < 2) return [];
  return [
    `${stores.length} stores are named '${name}'. Call forRoot once for each, and give all but one a ` +
      "name of its own: forRoot({ store: '…' }).",
  ];
}

/** What one call of `forFeature` adds to a store: registrations, and a repository for each aggregate. */
export function featureProviders(feature: EventStoreFeature, name = defaultStoreName): Provider[] {
  const { aggregates = [], events = [], upcasters = [] } = feature;
  return [
    {
      provide: 'EventStore.registrations',
      inject: [
        { token: token(name, 'registry'), optional: true },
        { token: token(name, 'repositories'), optional: true },
      ],
      useFactory: (registry?: EventRegistry, repositories?: AggregateRepositories) => {
        if (!registry || !repositories) {
          throw new EventStoreConfigurationError(name, [
            `forFeature() was called for the store '${name}', which does not exist. Add ` +
              "EventStoreModule.forRoot() to the imports of your application's module" +
              `${name === defaultStoreName ? '' : ` with store: '${name}'`}.`,
          ]);
        }
        for (const eventClass of events) registry.register(eventClass);
        for (const upcaster of upcasters) registry.registerUpcaster(upcaster);
        // Every class is passed, though two classes of one type share a provider: both must be
        // reported.
        for (const aggregateClass of aggregates) repositories.of(aggregateClass);
        return repositories;
      },
    },
    ...aggregates.map((aggregateClass) => ({
      provide: getAggregateRepositoryToken(aggregateClass, name),
      inject: ['EventStore.registrations'],
      useFactory: (repositories: AggregateRepositories) => repositories.of(aggregateClass),
    })),
  ];
}
