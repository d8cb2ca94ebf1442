import type { MigrationInterface } from 'typeorm';
import { CreateEventStore } from './0001-create-event-store.ts';

/**
 * Returns the migrations of the store, in order, for the `migrations` of a TypeORM data source.
 *
 * Needed only if the application runs migrations itself; see the option `migrations`. Each migration
 * does nothing in a schema to which it was already applied.
 *
 * @example
 * new DataSource({ type: 'postgres', migrations: [...eventStoreMigrations(), ...ours] })
 */
export function eventStoreMigrations(schema = 'event_store'): (new () => MigrationInterface)[] {
  return [
    class extends CreateEventStore {
      protected override readonly schema = schema;
    },
  ];
}
