import { Module, type DynamicModule } from '@nestjs/common';
import {
  ASYNC_OPTIONS_TYPE,
  ConfigurableModuleClass,
  OPTIONS_TYPE,
} from './event-store.module-definition.ts';
import { postgresStore } from './event-store.postgres.ts';
import { featureProviders, withStore, type EventStoreFeature } from './event-store.providers.ts';
import { getAggregateRepositoryToken } from './event-store.tokens.ts';

/**
 * Gives an application its event store.
 *
 * `forRoot` once for each store, in the application's module: it uses the application's TypeORM
 * data source and publishes on the application's `EventBus`. `forFeature` wherever aggregates are
 * used: it registers classes and provides their repositories.
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
  /** Configures a store, available in the whole application. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return withStore(super.forRoot(options), options.name, postgresStore(options.dataSource));
  }

  /** The same with options that are injected, such as from a configuration service. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return withStore(super.forRootAsync(options), options.name, postgresStore(options.dataSource));
  }

  /** Registers event classes, upcasters and aggregates in the store of that name. */
  static forFeature(feature: EventStoreFeature, name?: string): DynamicModule {
    const { aggregates = [] } = feature;
    return {
      module: EventStoreModule,
      providers: featureProviders(feature, name),
      exports: aggregates.map((aggregate) => getAggregateRepositoryToken(aggregate, name)),
    };
  }
}
