import type { DataSource, EntityMetadata } from 'typeorm';
import { AggregateEntity, aggregateEntity } from './aggregate.entity.ts';
import { DomainEventEntity, domainEventEntity } from './domain-event.entity.ts';

/**
 * Gives the store's entities the names that their tables and columns have in the database.
 *
 * A naming strategy or `entityPrefix` of the data source is meant for the tables of the application,
 * but TypeORM cannot exempt an entity: the entities would refer to tables that do not exist.
 */
export function restoreNames({ entityMetadatas, driver }: DataSource): void {
  const stored = new Map<unknown, ReturnType<typeof domainEventEntity | typeof aggregateEntity>>([
    [AggregateEntity, aggregateEntity('')],
    [DomainEventEntity, domainEventEntity('')],
  ]);
  for (const metadata of entityMetadatas) {
    const entity = stored.get(metadata.target);
    if (!entity) continue;
    const { tableName, columns } = entity.options as {
      readonly tableName: string;
      readonly columns: Readonly<Record<string, { readonly name?: string } | undefined>>;
    };
    nameTable(metadata, tableName, driver);
    for (const column of metadata.columns) {
      const { propertyName } = column;
      // The relation uses the column of its key.
      const name = propertyName === 'aggregate' ? 'aggregate_key' : columns[propertyName]?.name;
      column.databaseName = name ?? propertyName;
      column.databasePath = column.databaseName;
      column.databaseNameWithoutPrefixes = column.databaseName;
    }
  }
}

function nameTable(metadata: EntityMetadata, name: string, driver: DataSource['driver']): void {
  metadata.tableNameWithoutPrefix = name;
  metadata.tableName = name;
  metadata.tablePath = driver.buildTableName(name, metadata.schema, metadata.database);
}
