import { type DynamicModule, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EventStoreModule } from 'nest-event-store';
import { ApplicationsModule } from './applications/applications.module.ts';
import { ReportsModule } from './reports/reports.module.ts';

export interface LoanDeskOptions {
  /** The PostgreSQL database to use. */
  readonly url: string;
  /** The schema that the events are kept in: each is a store of its own. */
  readonly schema: string;
}

@Module({})
export class AppModule {
  static forRoot({ url, schema }: LoanDeskOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url, installExtensions: false }),
        CqrsModule.forRoot(),
        EventStoreModule.forRoot({ schema }),
        ApplicationsModule,
        ReportsModule,
      ],
    };
  }
}
