import type { DataSource } from 'typeorm';
import {
  resolveOptions,
  storeOptionsOf,
  type EventStoreOptions,
} from '../../lib/module/options.ts';
import { DomainEvent, type EventClass } from '../../lib/events/domain-event.decorator.ts';
import { EventRegistry } from '../../lib/events/event-registry.ts';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { PostgresEventStorage } from '../../lib/postgres/store/postgres.event-storage.ts';
import { EventStore } from '../../lib/store/event-store.ts';
import type { Consumer } from '../../lib/subscriptions/consumer.ts';
import { patiently } from './eventually.ts';

@DomainEvent('counter.counted')
export class Counted {
  constructor(readonly by: number) {}
}

export interface TestStore extends EventStore {
  readonly schema: string;
  readonly warnings: string[];
  applyInline(projections: readonly Consumer[]): void;
  drain(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a store on a data source, its schema migrated, without an application around it.
 *
 * Without a given limit, its appends wait long enough for an aggregate even on a slow machine.
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
  const onWarning = (message: string): unknown => warnings.push(message);
  const storage = new PostgresEventStorage(dataSource, { ...options, onWarning });
  const { schema, transactionManager } = options;
  const store = new EventStore(
    storage,
    { ...storeOptionsOf(options), onWarning },
    { registry, schema, transactionManager },
  );
  return Object.assign(store, {
    schema,
    warnings,
    applyInline: (projections: readonly Consumer[]) => storage.applyInline(projections),
    drain: () => storage.drain(),
    close: () => storage.close(),
  });
}
