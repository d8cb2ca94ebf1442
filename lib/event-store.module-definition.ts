import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { EventStoreOptions } from './event-store.options.ts';

/** What tells stores apart; known when the module is declared, also with `forRootAsync`. */
export interface EventStoreExtras {
  /** The store's name, where an application has several. @default 'default' */
  readonly name?: string;
  /** The name of the TypeORM data source to use. @default the default data source */
  readonly dataSource?: string;
}

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<EventStoreOptions>({ moduleName: 'EventStore' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createEventStoreOptions')
    .setExtras<EventStoreExtras>({ name: 'default', dataSource: 'default' })
    .build();
