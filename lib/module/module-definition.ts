import { ConfigurableModuleBuilder } from '@nestjs/common';
import { eventStoreOptionNames, type EventStoreOptions } from './options.ts';
import { KnownOptions, ownOptions } from '../input/known-options.ts';

/** What distinguishes stores; known when the module is declared, also with `forRootAsync`. */
export interface EventStoreExtras {
  /** The name of the store, where an application has several. @default 'default' */
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

/** Returns the options of `forRoot` by value; what is wrong with them is reported at boot. */
export const rootOptions = (given: RootOptions): RootOptions =>
  ownOptions('forRoot', given, [...eventStoreOptionNames, 'store', 'dataSource']);

/** What `forRootAsync` takes: where the options come from, and what distinguishes stores. */
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
