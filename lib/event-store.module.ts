import { Module, type DynamicModule } from '@nestjs/common';
import {
  type ASYNC_OPTIONS_TYPE,
  asyncRootOptions,
  ConfigurableModuleClass,
  type OPTIONS_TYPE,
  rootOptions,
} from './module/module-definition.ts';
import { postgresStore } from './module/postgres-store.ts';
import {
  featureOptions,
  featureProviders,
  featureStore,
  withStore,
  type EventStoreFeature,
} from './module/providers.ts';
import { getAggregateRepositoryToken, type StoreSelection } from './module/tokens.ts';

/**
 * Provides an application's event store.
 *
 * Import `forRoot` once for each store, in the application's module: it uses the application's TypeORM
 * data source and publishes on the application's `EventBus`. Import `forFeature` wherever aggregates
 * are used: it registers classes and provides their repositories.
 *
 * @example
 * @Module({
 *   imports: [
 *     TypeOrmModule.forRoot({ type: 'postgres', url }),
 *     CqrsModule.forRoot(),
 *     EventStoreModule.forRoot(),
 *     EventStoreModule.forFeature({ aggregates: [LoanApplication], events: [ApplicationSubmitted] }),
 *   ],
 * })
 * export class AppModule {}
 */
@Module({})
export class EventStoreModule extends ConfigurableModuleClass {
  /** Configures a store and makes it available in the whole application. */
  static override forRoot(given: typeof OPTIONS_TYPE = {}): DynamicModule {
    const options = rootOptions(given);
    return withStore(super.forRoot(options), options.store, postgresStore(options.dataSource));
  }

  /** Like `forRoot`, with options that are injected, such as from a configuration service. */
  static override forRootAsync(given: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    const options = asyncRootOptions.take(given);
    return withStore(super.forRootAsync(options), options.store, postgresStore(options.dataSource));
  }

  /** Registers event classes, upcasters and aggregates in a store: the default one, or `store`. */
  static forFeature(given: EventStoreFeature, options: StoreSelection = {}): DynamicModule {
    const feature = featureOptions.take(given);
    const { store } = featureStore.take(options);
    const { aggregates = [] } = feature;
    return {
      module: EventStoreModule,
      providers: featureProviders(feature, store),
      exports: aggregates.map((aggregate) => getAggregateRepositoryToken(aggregate, store)),
    };
  }
}
