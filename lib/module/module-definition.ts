import { ConfigurableModuleBuilder } from '@nestjs/common';
import { eventStoreOptionNames, type EventStoreOptions } from './options.ts';
import { KnownOptions, ownOptions } from '../input/known-options.ts';

/**
 * The options that distinguish stores; they are known when the module is declared, even with
 * `forRootAsync`.
 */
export interface EventStoreExtras {
  /** The name of the store, for an application with several stores. @default 'default' */
  readonly store?: string;
  /** The name of the TypeORM data source to use. @default the default data source */
  readonly dataSource?: string;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<EventStoreOptions>({ moduleName: 'EventStore' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createEventStoreOptions')
    .setExtras<EventStoreExtras>({ store: 'default', dataSource: 'default' })
    .build();

type RootOptions = typeof OPTIONS_TYPE;
type AsyncRootOptions = typeof ASYNC_OPTIONS_TYPE;

/** Returns a copy of the options of `forRoot`; their problems are reported at boot. */
export const rootOptions = (given: RootOptions): RootOptions =>
  ownOptions('forRoot', given, [...eventStoreOptionNames, 'store', 'dataSource']);

/** The options of `forRootAsync`: the source of the store's options, and what distinguishes stores. */
export const asyncRootOptions = new KnownOptions<AsyncRootOptions>('forRootAsync', {
  store: true,
  dataSource: true,
  imports: true,
  inject: true,
  useFactory: true,
  useClass: true,
  useExisting: true,
  provideInjectionTokensFrom: true,
});
