/**
 * Schemeless' PostgreSQL adapter: `append`, `appendToStream`, `getStreamEvents`, `getAllEvents`.
 *
 * - Each append locks the events of its stream, reads their highest sequence, and inserts event by
 *   event in a transaction; its statements are not prepared.
 * - `append` expects nothing, but is answered with a conflict when another append takes the sequence:
 *   those are sent again.
 * - The log is read in pages of 1,000 instead of 100, and followed by its cursor, which starts after
 *   the last event seen; the loop around it is ours.
 */
import { importPeer } from '../import-peer.ts';
import { poll } from '../poll.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

const domain = 'payments';
const pageSize = 1_000;

/** The store of `@schemeless/event-store-adapter-pg`. */
export const subject: Subject = {
  name: 'schemeless',
  kind: 'peer',
  package: '@schemeless/event-store-adapter-pg',
  hasGlobalOrder: true,
  async open(connectionString, { setUp, connections }) {
    const { PgEventStoreAdapter } = await importPeer<Schemeless>(
      '@schemeless/event-store-adapter-pg',
    );
    const store = new PgEventStoreAdapter({ connectionString, max: connections });
    if (setUp) await store.init();
    let conflicts = 0;

    return {
      async append(aggregate, events, after) {
        const created = events.map((payload) => {
          return { domain, type: 'booked', identifier: aggregate, payload, created: new Date() };
        });
        if (after !== 'any') await store.appendToStream(created, after);
        else conflicts += await resolveConflicts(() => store.append(created), isConflict);
      },

      async load(aggregate) {
        return (await store.getStreamEvents(domain, aggregate)).length;
      },

      async readAll(onEvent) {
        for await (const page of await store.getAllEvents(pageSize)) {
          for (const event of page) onEvent(toRead(event));
        }
      },

      follow(onEvent) {
        let last: string | undefined;
        return Promise.resolve(
          poll(async () => {
            let count = 0;
            for await (const page of await store.getAllEvents(pageSize, last)) {
              for (const event of page) onEvent(toRead(event));
              last = page.at(-1)!.id;
              count += page.length;
            }
            return count;
          }),
        );
      },

      conflicts: () => conflicts,
      close: () => store.close(),
    };
  },
};

const isConflict = (error: Error): boolean => 'actualVersion' in error;

const toRead = ({ identifier, payload }: PersistedEvent) => ({
  aggregate: identifier,
  event: payload,
});

interface PersistedEvent {
  readonly id: string;
  readonly identifier: string;
  readonly payload: Payment;
}

type Page = readonly PersistedEvent[];

interface Schemeless {
  readonly PgEventStoreAdapter: new (options: object) => {
    init(): Promise<void>;
    append(events: readonly object[]): Promise<void>;
    appendToStream(events: readonly object[], expectedVersion: number): Promise<unknown>;
    getStreamEvents(domain: string, identifier: string): Promise<Page>;
    getAllEvents(pageSize: number, startFromId?: string): Promise<AsyncIterable<Page>>;
    close(): Promise<void>;
  };
}
