/**
 * Castore's PostgreSQL adapter, through its EventStore: `pushEvent` for one event, `pushEventGroup`
 * for several, `getEvents`.
 *
 * - It prepares its statements and pipelines them on the ten connections of its client; their number
 *   cannot be set.
 * - The caller names the version of each event. To append without an expectation is to read the last
 *   version first, and to do so again when another caller was faster.
 * - There is no log of all aggregates, and so nothing to follow.
 */
import { importPeer } from '../import-peer.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

/** The store of `@castore/event-storage-adapter-postgres`. */
export const subject: Subject = {
  name: 'castore',
  kind: 'peer',
  package: '@castore/event-storage-adapter-postgres',
  hasGlobalOrder: false,
  async open(connectionString, { setUp }) {
    const { EventStore, EventType } = await importPeer<Castore>('@castore/core');
    const { PostgresEventStorageAdapter } = await importPeer<CastorePostgres>(
      '@castore/event-storage-adapter-postgres',
    );
    if (setUp) {
      await PostgresEventStorageAdapter.createEventTable({
        connectionString,
        aggregateId: { type: 'UUID' },
      });
    }
    const store = new EventStore({
      eventStoreId: 'PAYMENTS',
      eventTypes: [new EventType({ type: 'PAYMENT_BOOKED' })],
      eventStorageAdapter: new PostgresEventStorageAdapter({ connectionString }),
      reducer: (_: unknown, { aggregateId, version }: EventDetail) => ({ aggregateId, version }),
    });
    let conflicts = 0;

    const push = async (aggregateId: string, events: readonly Payment[], after: number) => {
      const [first, ...others] = events.map((payload, index): EventDetail => {
        return { aggregateId, version: after + index + 1, type: 'PAYMENT_BOOKED', payload };
      });
      if (!first) return;
      if (others.length === 0) await store.pushEvent(first);
      else await EventStore.pushEventGroup(...[first, ...others].map(store.groupEvent));
    };

    return {
      async append(aggregate, events, after) {
        if (after !== 'any') return push(aggregate, events, after);
        conflicts += await resolveConflicts(async () => {
          const last = await store.getEvents(aggregate, { reverse: true, limit: 1 });
          await push(aggregate, events, last.events[0]?.version ?? 0);
        }, isConflict);
      },

      async load(aggregate) {
        return (await store.getEvents(aggregate)).events.length;
      },

      conflicts: () => conflicts,
      // The adapter cannot be closed: its connections end with the process.
      close: () => Promise.resolve(),
    };
  },
};

const isConflict = (error: Error): boolean =>
  'code' in error && error.code === 'EventAlreadyExistsError';

interface EventDetail {
  readonly aggregateId: string;
  readonly version: number;
  readonly type: string;
  readonly payload: Payment;
}

interface Castore {
  readonly EventType: new (options: { type: string }) => object;
  readonly EventStore: {
    new (options: object): {
      pushEvent(event: EventDetail): Promise<unknown>;
      groupEvent: (event: EventDetail) => object;
      getEvents(id: string, options?: object): Promise<{ events: readonly EventDetail[] }>;
    };
    pushEventGroup(...events: readonly object[]): Promise<unknown>;
  };
}

interface CastorePostgres {
  readonly PostgresEventStorageAdapter: {
    new (options: { connectionString: string }): object;
    createEventTable(options: object): Promise<unknown>;
  };
}
