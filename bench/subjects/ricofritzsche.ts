/**
 * EventStore of Rico Fritzsche and Ralf Westphal: `append` and `query`.
 *
 * - It knows no aggregates: its payload says which one an event belongs to, and a filter on the
 *   payload, which its GIN index serves, is the context that an append is checked against.
 * - An expectation is the position of the last event of that context. For a new aggregate that is 0;
 *   for others the context is queried first, as its README shows it.
 * - All events of an append are one statement, unprepared, in a pool of ten connections; their number
 *   cannot be set.
 * - A query has no limit, so that the whole log is read as one page.
 * - `subscribe` reports the appends of its own store object only. The log is followed by the
 *   incremental query of the README instead, put again after 10 ms when nothing was new.
 */
import { importPeer } from '../import-peer.ts';
import { poll } from '../poll.ts';
import type { Payment, Subject } from '../subject.ts';

/** The store of `@ricofritzsche/eventstore`. */
export const subject: Subject = {
  name: 'ricofritzsche',
  kind: 'peer',
  package: '@ricofritzsche/eventstore',
  hasGlobalOrder: true,
  async open(connectionString, { setUp }) {
    const { PostgresEventStore, createFilter, createQuery } = await importPeer<EventStore>(
      '@ricofritzsche/eventstore',
    );
    const store = new PostgresEventStore({ connectionString });
    if (setUp) await quietly(() => store.initializeDatabase());
    const eventsOf = (aggregate: string) => createFilter(['PaymentBooked'], [{ aggregate }]);
    const eventsAfter = (minSequenceNumber: number) => createQuery({ minSequenceNumber });

    const positionAfter = async (aggregate: string, after: number): Promise<number> => {
      if (after === 0) return 0;
      const { events, maxSequenceNumber } = await store.query(eventsOf(aggregate));
      if (events.length === after) return maxSequenceNumber;
      throw new Error(`Aggregate ${aggregate} has ${events.length} events, not ${after}.`);
    };

    return {
      async append(aggregate, events, after) {
        const created = events.map((event) => {
          return { eventType: 'PaymentBooked', payload: { aggregate, ...event } };
        });
        if (after === 'any') return store.append(created);
        await store.append(created, eventsOf(aggregate), await positionAfter(aggregate, after));
      },

      async load(aggregate) {
        return (await store.query(eventsOf(aggregate))).events.length;
      },

      async readAll(onEvent) {
        const { events } = await store.query(eventsAfter(0));
        for (const event of events) onEvent(toRead(event));
      },

      follow(onEvent) {
        let last = 0;
        return Promise.resolve(
          poll(async () => {
            const { events, maxSequenceNumber } = await store.query(eventsAfter(last));
            for (const event of events) onEvent(toRead(event));
            last = Math.max(last, maxSequenceNumber);
            return events.length;
          }),
        );
      },

      close: () => store.close(),
    };
  },
};

function toRead({ payload: { aggregate, ...event } }: EventRecord) {
  return { aggregate, event };
}

/** Mutes the console: the subject logs what it does with the database between the lines of our table. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { log } = console;
  console.log = () => {};
  try {
    await work();
  } finally {
    console.log = log;
  }
}

interface EventRecord {
  readonly eventType: string;
  readonly payload: Payment & { readonly aggregate: string };
}

interface EventStore {
  readonly createFilter: (eventTypes: readonly string[], payloads: readonly object[]) => object;
  readonly createQuery: (options: { minSequenceNumber: number }) => object;
  readonly PostgresEventStore: new (options: { connectionString: string }) => {
    initializeDatabase(): Promise<void>;
    append(events: readonly EventRecord[], context?: object, last?: number): Promise<void>;
    query(context: object): Promise<{ events: EventRecord[]; maxSequenceNumber: number }>;
    close(): Promise<void>;
  };
}
