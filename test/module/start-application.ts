import type { DynamicModule, ModuleMetadata } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { Test, type TestingModule } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';

/** Gives an application a data source that is open already; the application closes it at its end. */
export function typeOrm(dataSource: DataSource, name = 'default'): DynamicModule {
  return TypeOrmModule.forRootAsync({
    name,
    useFactory: () => dataSource.options,
    dataSourceFactory: async () => dataSource,
  });
}

/** Starts an application on the data source, with the buses of `@nestjs/cqrs`. */
export async function startApplication(
  dataSource: DataSource,
  { imports = [], ...metadata }: ModuleMetadata,
): Promise<TestingModule> {
  return startBare({
    ...metadata,
    imports: [typeOrm(dataSource), CqrsModule.forRoot(), ...imports],
  });
}

/** Starts an application of exactly these modules and providers. */
export async function startBare(metadata: ModuleMetadata): Promise<TestingModule> {
  const application = await Test.createTestingModule(metadata).setLogger(silent).compile();
  try {
    return await application.init();
  } catch (error) {
    await application.close();
    throw error;
  }
}

const silent = {
  log: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
