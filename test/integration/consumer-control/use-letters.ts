import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { Consumer } from '../../../lib/subscriptions/consumer.ts';
import { noRetry } from '../../../lib/subscriptions/retry-policy.ts';
import { consumer, startConsumers, type TestProcess } from '../../support/consumers.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestRoles, type TestRoles } from '../../support/roles.ts';
import { Counted, openStore, type TestStore } from '../../support/store.ts';

/** A new store for each test, and consumers named `letters` that fail while the test wants them to. */
export function useLetters() {
  let roles: TestRoles;
  let owner: DataSource;
  let dataSource: DataSource;
  let store: TestStore;
  let schemas = 0;
  let processes: TestProcess[] = [];
  const script = {
    /** What the consumers have done since the test began. */
    effects: [] as number[],
    /** Events that count 13 fail for as long as this is so. */
    broken: true,
  };

  beforeAll(async () => {
    roles = await createTestRoles();
    owner = await roles.dataSource('owner');
    dataSource = await roles.dataSource('application', { max: 20 });
  });

  beforeEach(async () => {
    const schema = `control_${++schemas}`;
    await roles.install(schema);
    store = await openStore(dataSource, { schema });
    script.effects = [];
    script.broken = true;
  });

  afterEach(async () => {
    await Promise.all(processes.map((each) => each.stop()));
    processes = [];
  });

  afterAll(() => roles.drop());

  const start = async (consumers: readonly Consumer[], options?: { leaseMs: number }) => {
    const started = await startConsumers(dataSource, store, consumers, options);
    processes.push(started);
    return started;
  };

  const append = (id: string, ...by: number[]) =>
    store.append(
      { type: 'counter', id },
      by.map((each) => new Counted(each)),
    );

  /** A handler or a projection that parks failed events, and has no effect if an event is replayed. */
  const parking = (kind: Consumer['kind'], onCall?: (by: number) => Promise<void>) =>
    consumer(
      'letters',
      async (records, { replayed }) => {
        for (const { event } of records) {
          const { by } = event as Counted;
          await onCall?.(by);
          if (by === 13 && script.broken) throw new Error('thirteen');
          if (!replayed) script.effects.push(by);
        }
      },
      { kind, onFailure: 'park', retry: noRetry },
    );

  const state = async ({ control }: TestProcess) => (await control.list()).consumers[0]!;

  /** How many sessions wait for a lock. */
  async function waiting(): Promise<number> {
    const [row] = await dataSource.query(
      `SELECT count(*)::integer AS n FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return row.n;
  }

  /** A consumer that stops at events that count 13, or treats them as its policy says. */
  const stopping = (options: Parameters<typeof consumer>[2] = {}) =>
    consumer(
      'letters',
      async (records) => {
        for (const { event } of records) {
          const { by } = event as Counted;
          if (by === 13 && script.broken) throw new Error('thirteen');
          script.effects.push(by);
        }
      },
      { kind: 'handler', retry: noRetry, ...options },
    );

  const stopped = (process: TestProcess) =>
    eventually(async () => (await state(process)).status === 'stopped');

  return {
    script,
    get roles(): TestRoles {
      return roles;
    },
    get owner(): DataSource {
      return owner;
    },
    /** With the rights of an application, which must suffice for every request here. */
    get dataSource(): DataSource {
      return dataSource;
    },
    get store(): TestStore {
      return store;
    },
    start,
    append,
    parking,
    stopping,
    state,
    stopped,
    waiting,
  };
}
