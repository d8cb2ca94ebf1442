import type { EntitySchema } from 'typeorm';
import { aggregateEntity } from './aggregate.entity.ts';
import { domainEventEntity } from './domain-event.entity.ts';

/**
 * Returns the entities of the store's tables, for the `entities` of a TypeORM data source.
 *
 * Needed only where the application wants to query the tables itself; the store does without.
 */
export function eventStoreEntities(schema = 'event_store'): EntitySchema[] {
  return [aggregateEntity(schema), domainEventEntity(schema)];
}
