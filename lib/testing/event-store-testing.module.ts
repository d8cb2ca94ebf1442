import { Module, type DynamicModule } from '@nestjs/common';
import {
  asyncRootOptions,
  ConfigurableModuleClass,
  rootOptions,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from '../module/module-definition.ts';
import type { StoreSelection } from '../module/tokens.ts';
import { warn } from '../module/log.ts';
import { storeOptionsOf } from '../module/options.ts';
import { EventStoreModule } from '../event-store.module.ts';
import { withStore, type EventStoreFeature, type StoreFactory } from '../module/providers.ts';
import { InMemoryEventStore } from '../store/in-memory/in-memory.event-store.ts';

const inMemoryStore: StoreFactory = {
  boot: (options, registry) => ({
    store: new InMemoryEventStore({ ...storeOptionsOf(options), onWarning: warn }, registry),
    problems: [],
    drain: async () => undefined,
    close: async () => undefined,
  }),
};

/**
 * Replaces `EventStoreModule` in tests that need no database.
 *
 * The store keeps its events in memory; repositories, features and the bridge to the `EventBus` are the
 * real ones. Modules that call `EventStoreModule.forFeature` work with it unchanged. Options for
 * PostgreSQL are checked but have no effect. There are no transactions: see `InMemoryEventStore`.
 *
 * Projections and durable handlers are found and checked, but never called, because there is no
 * database in which to commit a read model or a checkpoint. An `@EventsHandler` or `@Saga` with
 * `@Durable` is taken off the `EventBus` here too, so a test calls `handle` itself, or uses
 * `EventStoreModule` and `drain`. Every method of `Consumers` throws `UnsupportedFeatureError`.
 *
 * @example
 * const module = await Test.createTestingModule({
 *   imports: [CqrsModule.forRoot(), EventStoreTestingModule.forRoot(), ApplicationsModule],
 * }).compile();
 * await module.init();
 */
@Module({})
export class EventStoreTestingModule extends ConfigurableModuleClass {
  /** Configures a store in memory and makes it available in the whole application. */
  static override forRoot(given: typeof OPTIONS_TYPE = {}): DynamicModule {
    const options = rootOptions(given);
    return withStore(super.forRoot(options), options.store, inMemoryStore);
  }

  /** Like `forRoot`, with options that are injected. */
  static override forRootAsync(given: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    const options = asyncRootOptions.take(given);
    return withStore(super.forRootAsync(options), options.store, inMemoryStore);
  }

  /** Registers event classes, upcasters and aggregates, as `EventStoreModule.forFeature` does. */
  static forFeature(feature: EventStoreFeature, options: StoreSelection = {}): DynamicModule {
    return EventStoreModule.forFeature(feature, options);
  }
}
