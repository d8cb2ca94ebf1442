import type { DataSource } from 'typeorm';
import { resolveOptions, type EventStoreOptions } from '../../lib/module/options.ts';
import { DomainEvent, type EventClass } from '../../lib/events/domain-event.decorator.ts';
import { EventRegistry } from '../../lib/events/event-registry.ts';
import { EventSerializer } from '../../lib/events/event-serializer.ts';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { PostgresEventStore } from '../../lib/postgres/store/postgres.event-store.ts';
import { patiently } from './eventually.ts';

@DomainEvent('counter.counted')
export class Counted {
  constructor(readonly by: number) {}
}

export interface TestStore extends PostgresEventStore {
  readonly schema: string;
  readonly warnings: string[];
}

/**
 * Opens a store on a data source, its schema migrated, without an application around it.
 *
 * Unless it is given a limit, its appends wait for an aggregate however slow the machine is.
 */
export async function openStore(
  dataSource: DataSource,
  { events = [Counted], ...given }: EventStoreOptions & { events?: readonly EventClass[] } = {},
): Promise<TestStore> {
  const { options, problems } = resolveOptions({ lockTimeoutMs: patiently.timeoutMs, ...given });
  if (problems.length > 0) throw new Error(problems.join('\n'));
  await new Migrator(dataSource, options.schema).run();
  const registry = new EventRegistry();
  for (const eventClass of events) registry.register(eventClass);
  const warnings: string[] = [];
  const store = new PostgresEventStore(
    dataSource,
    registry,
    new EventSerializer(registry, options.codec, options),
    { ...options, onWarning: (message) => warnings.push(message) },
  );
  return Object.assign(store, { schema: options.schema, warnings });
}
