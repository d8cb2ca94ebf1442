/**
 * Emmett's PostgreSQL store, through `appendToStream`, `readStream` and a consumer with one reactor.
 *
 * - Several events are one call of its SQL function. It sends no prepared statements.
 * - The pool is passed in, because `max` in its connection options does not reach the pool.
 * - `NO_CONCURRENCY_CHECK` reads the version and then takes it, so that appends at the same time end
 *   in a version conflict: those are sent again, which its CommandHandler offers too.
 * - The log is read by the function that its consumer reads batches with, without the consumer's
 *   pauses, and in one batch: batches are ordered by transaction and continued by position, so that
 *   between two of them events can be left out or come twice.
 * - The consumer pulls 1,000 messages at a time instead of 100, and pauses for 10 ms instead of 50
 *   after a full batch; its pauses of 100 ms to 1 s after others cannot be set.
 */
import { Pool } from 'pg';
import { importPeer } from '../import-peer.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

const prefix = 'payment-';
const wholeLog = 10_000_000;

/** The store of `@event-driven-io/emmett-postgresql`. */
export const subject: Subject = {
  name: 'emmett',
  kind: 'peer',
  package: '@event-driven-io/emmett-postgresql',
  hasGlobalOrder: true,
  async open(url, { setUp, connections }) {
    const emmett = await importPeer<Emmett>('@event-driven-io/emmett-postgresql');
    const { dumbo } = await importPeer<Dumbo>('@event-driven-io/dumbo');
    const pool = new Pool({ connectionString: url, max: connections });
    const database = dumbo({ connectionString: url, pool });
    const store = emmett.getPostgreSQLEventStore(url, {
      connectionOptions: { dumbo: database },
      schema: { autoMigration: 'None' },
    });
    if (setUp) await store.schema.migrate();
    let conflicts = 0;

    return {
      async append(aggregate, events, after) {
        const messages = events.map((data) => ({ type: 'PaymentBooked', data }));
        const append = (expectedStreamVersion: bigint | 'NO_CONCURRENCY_CHECK') =>
          store.appendToStream(`${prefix}${aggregate}`, messages, { expectedStreamVersion });
        if (after !== 'any') await append(BigInt(after));
        else conflicts += await resolveConflicts(() => append('NO_CONCURRENCY_CHECK'), isConflict);
      },

      async load(aggregate) {
        return (await store.readStream(`${prefix}${aggregate}`)).events.length;
      },

      async readAll(onEvent) {
        const batch = { after: 0n, batchSize: wholeLog };
        const { messages } = await emmett.readMessagesBatch(database.execute, batch);
        for (const message of messages) onEvent(toRead(message));
      },

      follow(onEvent) {
        const consumer = store.consumer({
          pulling: { batchSize: 1_000, pullingFrequencyInMs: 10 },
        });
        consumer.reactor({
          processorId: 'follower',
          startFrom: 'BEGINNING',
          eachMessage: (message) => onEvent(toRead(message)),
        });
        const running = consumer.start();
        // A failure is reported by stop().
        running.catch(() => {});
        return Promise.resolve({
          async stop() {
            await consumer.stop();
            await running;
          },
        });
      },

      conflicts: () => conflicts,
      close: () => pool.end(),
    };
  },
};

const isConflict = (error: Error): boolean => 'errorCode' in error && error.errorCode === 412;

const toRead = ({ data, metadata }: Message) => ({
  aggregate: metadata.streamName.slice(prefix.length),
  event: data,
});

interface Message {
  readonly data: Payment;
  readonly metadata: { readonly streamName: string };
}

interface Dumbo {
  readonly dumbo: (options: { connectionString: string; pool: Pool }) => { execute: unknown };
}

interface Emmett {
  getPostgreSQLEventStore(url: string, options: object): EmmettStore;
  readMessagesBatch(
    execute: unknown,
    options: { after: bigint; batchSize: number },
  ): Promise<{ messages: Message[] }>;
}

interface EmmettStore {
  readonly schema: { migrate(): Promise<unknown> };
  appendToStream(stream: string, events: readonly object[], options: object): Promise<unknown>;
  readStream(stream: string): Promise<{ events: Message[] }>;
  consumer(options: object): {
    reactor(options: { eachMessage: (message: Message) => void } & Record<string, unknown>): void;
    start(): Promise<void>;
    stop(): Promise<void>;
  };
}
