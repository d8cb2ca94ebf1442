/**
 * EvtStore with its Postgres.js provider.
 *
 * - Of its two providers for PostgreSQL it is the faster one: it prepares its statements, and inserts
 *   several events by one of them.
 * - Where the caller knows the version, events go to the provider itself, which spares the read that
 *   a command begins with.
 * - Without an expectation they go through a command, with `useCache`, so that it reads what is new
 *   only; it is sent again when another caller was faster.
 * - The handler keeps its bookmark in memory, as it would otherwise write one per event. Its pause of
 *   1 s when nothing is new cannot be set.
 */
import { importPeer } from '../import-peer.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

const stream = 'payments';
const tables = { events: 'events', bookmarks: 'bookmarks' };
const pageSize = 1_000;

/** The store of `evtstore`. */
export const subject: Subject = {
  name: 'evtstore',
  kind: 'peer',
  package: 'evtstore',
  hasGlobalOrder: true,
  async open(url, { setUp, connections }) {
    const { createAggregate, createCommands, createDomain, MemoryBookmark } =
      await importPeer<EvtStore>('evtstore');
    const { createProvider, migrate } = await importPeer<Providers>(
      'evtstore/provider/postgres.js',
    );
    const { default: postgres } = await importPeer<Postgres>('postgres');
    const sql = postgres(url, { max: connections, onnotice: () => {} });
    if (setUp) await migrate({ sql, ...tables });
    const provider = createProvider({ sql, limit: pageSize, ...tables });
    const { domain, createHandler } = createDomain(
      { provider, useCache: true },
      { payment: createAggregate({ stream, create: () => ({}), fold: () => ({}) }) },
    );
    const commands = createCommands(domain.payment, {
      book: ({ events }) => Promise.resolve(events.map(toEvent)),
    });
    let conflicts = 0;

    return {
      async append(aggregate, events, after) {
        if (after === 'any') {
          const book = () => commands.book(aggregate, { events });
          conflicts += await resolveConflicts(book, isConflict);
          return;
        }
        const next = after + 1;
        const created = provider.createEvents(stream, aggregate, next, events.map(toEvent));
        await provider.append(stream, aggregate, next, created);
      },

      async load(aggregate) {
        return (await provider.getEventsFor(stream, aggregate)).length;
      },

      async readAll(onEvent) {
        for (let position: unknown = 0; ;) {
          const page = await provider.getEventsFrom(stream, position);
          for (const { aggregateId, event } of page) {
            onEvent({ aggregate: aggregateId, event: event.payment });
          }
          if (page.length < pageSize) return;
          position = page.at(-1)!.position;
        }
      },

      follow(onEvent) {
        const handler = createHandler(MemoryBookmark, [stream]);
        handler.handle(stream, 'PaymentBooked', async (id, { payment }) =>
          onEvent({ aggregate: id, event: payment }),
        );
        handler.start();
        return Promise.resolve({ stop: async () => handler.stop() });
      },

      conflicts: () => conflicts,
      close: () => sql.end(),
    };
  },
};

// Every error of an append is a VersionError; its message contains the error of the database.
const isConflict = (error: Error): boolean => error.message.includes('duplicate key');

const toEvent = (payment: Payment): BookedEvent => ({ type: 'PaymentBooked', payment });

interface BookedEvent {
  readonly type: 'PaymentBooked';
  readonly payment: Payment;
}

interface StoredEvent {
  readonly aggregateId: string;
  readonly position: unknown;
  readonly event: BookedEvent;
}

interface Provider {
  createEvents(stream: string, id: string, version: number, events: BookedEvent[]): StoredEvent[];
  append(stream: string, id: string, version: number, events: StoredEvent[]): Promise<unknown>;
  getEventsFor(stream: string, id: string): Promise<StoredEvent[]>;
  getEventsFrom(stream: string, position: unknown): Promise<StoredEvent[]>;
}

interface Providers {
  readonly createProvider: (options: object) => Provider;
  readonly migrate: (options: object) => Promise<void>;
}

interface Postgres {
  readonly default: (url: string, options: object) => { end(): Promise<void> };
}

interface EvtStore {
  readonly MemoryBookmark: string;
  readonly createAggregate: (options: object) => object;
  readonly createDomain: <Aggregates>(
    options: object,
    aggregates: Aggregates,
  ) => {
    readonly domain: Aggregates;
    readonly createHandler: (bookmark: string, streams: readonly string[]) => Handler;
  };
  readonly createCommands: (
    aggregate: object,
    handlers: { book(command: Book): Promise<BookedEvent[]> },
  ) => { book(id: string, command: Book): Promise<unknown> };
}

interface Book {
  readonly events: readonly Payment[];
}

interface Handler {
  handle(
    stream: string,
    type: string,
    take: (id: string, event: BookedEvent) => Promise<void>,
  ): void;
  start(): void;
  stop(): void;
}
