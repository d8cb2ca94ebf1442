import { type INestApplication, StandardSchemaValidationPipe } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { EntityTagInterceptor } from './entity-tag.ts';
import { EventStoreErrorFilter } from './event-store-error.filter.ts';
import { requestMetadata } from './request-metadata.middleware.ts';

/** Configures everything that concerns HTTP, and serves the OpenAPI description at `/api`. */
export function configureHttp(app: INestApplication): void {
  const host = app.get(HttpAdapterHost);
  app.use(requestMetadata);
  app.useGlobalPipes(new StandardSchemaValidationPipe({ validateCustomDecorators: true }));
  app.useGlobalInterceptors(new EntityTagInterceptor(host));
  app.useGlobalFilters(new EventStoreErrorFilter(host));

  const description = new DocumentBuilder()
    .setTitle('Loan desk')
    .setDescription('What a bank’s staff do with loan applications.')
    .build();
  SwaggerModule.setup('api', app, SwaggerModule.createDocument(app, description));
}
