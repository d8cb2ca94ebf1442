import type { EntitySchema } from 'typeorm';
import { aggregateEntity } from './aggregate.entity.ts';
import { domainEventEntity } from './domain-event.entity.ts';

/**
 * Returns the entities of the store's tables, for the `entities` of a TypeORM data source.
 *
 * Needed only by applications that query the tables themselves; the store does not use them.
 */
export function eventStoreEntities(schema = 'event_store'): EntitySchema[] {
  return [aggregateEntity(schema), domainEventEntity(schema)];
}
