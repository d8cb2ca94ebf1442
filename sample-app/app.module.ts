import { type DynamicModule, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EventStoreModule } from 'nest-event-store';
import { ApplicationsModule } from './applications/applications.module.ts';
import { DeadlinesModule } from './deadlines/deadlines.module.ts';
import { LettersModule } from './letters/letters.module.ts';
import { ReportsModule } from './reports/reports.module.ts';

export interface LoanDeskOptions {
  /** The PostgreSQL database to use. */
  readonly url: string;
  /** The schema in which the desk keeps its events and tables: each schema is a store of its own. */
  readonly schema: string;
}

@Module({})
export class AppModule {
  static forRoot({ url, schema }: LoanDeskOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url,
          installExtensions: false,
          // The schema of the tables of letters and projections, so that their SQL need not name it.
          extra: { options: `-c search_path=${schema}` },
        }),
        CqrsModule.forRoot(),
        EventStoreModule.forRoot({ schema }),
        ApplicationsModule,
        ReportsModule,
        LettersModule,
        DeadlinesModule,
      ],
    };
  }
}
