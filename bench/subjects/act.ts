/**
 * Act's PostgreSQL store: `commit` and `query`; and a reaction of Act that `drain` calls.
 *
 * - Events go to the store itself, which spares the read and the validation that an action begins
 *   with. It inserts event by event in a transaction; its statements are not prepared.
 * - Without an expectation it reads the version and then takes it: when another caller was faster,
 *   the error of the database comes through, and the append is sent again.
 * - One reaction takes all events, for one target, 1,000 at a time instead of 10. The loop that calls
 *   `drain` is ours, as an application has it.
 * - Its reader makes a Date of every string that looks like one.
 * - It reads the name and version of the application from `package.json` in the current directory,
 *   and logs all it does unless that is switched off.
 */
import { importPeer } from '../import-peer.ts';
import { poll } from '../poll.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, Subject } from '../subject.ts';

const batchSize = 1_000;

/** The store of `@rotorsoft/act-pg`. */
export const subject: Subject = {
  name: 'act',
  kind: 'peer',
  package: '@rotorsoft/act-pg',
  hasGlobalOrder: true,
  async open(connectionString, { setUp, connections }) {
    process.env['NODE_ENV'] ??= 'production';
    process.env['LOG_LEVEL'] ??= 'error';
    const { act, state, store: useStore } = await importPeer<Act>('@rotorsoft/act');
    const { PostgresStore } = await importPeer<ActPostgres>('@rotorsoft/act-pg');
    const { z } = await importPeer<Zod>('zod');
    const store = new PostgresStore({ connectionString, max: connections });
    if (setUp) await store.seed();
    let conflicts = 0;

    return {
      async append(aggregate, events, after) {
        const messages = events.map((data) => ({ name: 'PaymentBooked', data }));
        const meta = { correlation: aggregate, causation: {} };
        // Its versions begin with 0, and an aggregate without events has version -1.
        if (after !== 'any') await store.commit(aggregate, messages, meta, after - 1);
        else {
          const commit = () => store.commit(aggregate, messages, meta);
          conflicts += await resolveConflicts(commit, isConflict);
        }
      },

      load: (aggregate) => store.query(() => {}, { stream: aggregate }),

      async readAll(onEvent) {
        for (let after = -1; ;) {
          const page: Committed[] = [];
          await store.query((event) => page.push(event), { after, limit: batchSize });
          for (const event of page) onEvent(toRead(event));
          if (page.length < batchSize) return;
          after = page.at(-1)!.id;
        }
      },

      follow(onEvent) {
        // Act has one store per process.
        useStore(store);
        const payments = state('Payment', z.object({}))
          .init(() => ({}))
          .emits({ PaymentBooked: z.any() })
          .patch({ PaymentBooked: () => ({}) })
          .build();
        const app = act()
          .with(payments)
          .on('PaymentBooked')
          .do(async function follower(event) {
            onEvent(toRead(event));
          })
          .to(() => 'follower')
          .build(batchSize);
        return Promise.resolve(poll(() => app.drain()));
      },

      conflicts: () => conflicts,
      close: () => store.dispose(),
    };
  },
};

const isConflict = (error: Error): boolean =>
  error.name === 'ERR_CONCURRENCY' || ('code' in error && error.code === '23505');

const toRead = ({ stream, data }: Committed) => ({ aggregate: stream, event: data });

interface Committed {
  readonly id: number;
  readonly stream: string;
  readonly data: Payment;
}

interface ActPostgres {
  readonly PostgresStore: new (options: object) => {
    seed(): Promise<void>;
    commit(
      stream: string,
      messages: readonly object[],
      meta: object,
      expectedVersion?: number,
    ): Promise<unknown>;
    query(callback: (event: Committed) => void, query: object): Promise<number>;
    dispose(): Promise<void>;
  };
}

interface Act {
  readonly store: (adapter: object) => void;
  readonly act: () => ActBuilder;
  readonly state: (
    name: string,
    schema: object,
  ) => {
    init(init: () => object): {
      emits(events: object): { patch(patch: object): { build(): object } };
    };
  };
}

interface ActBuilder {
  with(state: object): ActBuilder;
  on(event: string): {
    do(handle: (event: Committed) => Promise<void>): { to(resolve: () => string): ActBuilder };
  };
  build(drainLimit: number): { drain(): Promise<number> };
}

interface Zod {
  readonly z: { object(shape: object): object; any(): object };
}
