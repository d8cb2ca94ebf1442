import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import type { AggregateRef } from 'nest-event-store';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { giveUpSoon } from '../support/unruly-guest.ts';
import { useStore } from '../support/use-store.ts';

/** Has connections of its own: it sees only what is committed. */
const observer = useStore();
let ids = 0;

beforeAll(async () => {
  await observer.dataSource.query('CREATE TABLE invoices (position bigint)');
});

const newCounter = (): AggregateRef => ({ type: 'counter', id: `c-${(ids += 1)}` });
const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));

/** What an application leaves on the only connection of its pool. */
const leftBehind: Readonly<Record<string, (dataSource: DataSource) => Promise<void>>> = {
  'a transaction whose ROLLBACK timed out in the driver': async (dataSource) => {
    const slow = dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO invoices VALUES (-1)');
      await giveUpSoon(manager.queryRunner!);
      await manager.query('SELECT pg_sleep(3)');
    });
    await expect(slow).rejects.toThrow('Query read timeout');
  },
  'a transaction that was never ended': async (dataSource) => {
    const queryRunner = dataSource.createQueryRunner();
    await queryRunner.query('BEGIN');
    await queryRunner.query('INSERT INTO invoices VALUES (-1)');
    await queryRunner.release();
  },
  'a transaction that has failed': async (dataSource) => {
    const queryRunner = dataSource.createQueryRunner();
    await queryRunner.query('BEGIN; INSERT INTO invoices VALUES (-1)');
    await expect(queryRunner.query('SELECT 1 / 0')).rejects.toThrow('division by zero');
    await queryRunner.release();
  },
  'a statement that still runs, with another one after it': async (dataSource) => {
    const queryRunner = dataSource.createQueryRunner();
    await giveUpSoon(queryRunner);
    void queryRunner.query('SELECT pg_sleep(3)').catch(() => 'times out');
    void queryRunner.query('BEGIN; INSERT INTO invoices VALUES (-1)').catch(() => 'is closed');
    await queryRunner.release();
  },
};

describe.each(Object.entries(leftBehind))('a pooled connection with %s', (_, leave) => {
  let dataSource: DataSource;
  let store: TestStore;
  beforeEach(async () => {
    dataSource = await observer.database.dataSource({ poolSize: 1 });
    store = await openStore(dataSource);
    await leave(dataSource);
  });
  afterEach(async () => {
    await dataSource.destroy();
    // Nothing that others had begun was committed on the way.
    expect(await observer.dataSource.query('SELECT FROM invoices WHERE position = -1')).toEqual([]);
  });

  it('is not used by an append: what is acknowledged is committed', async () => {
    const counter = newCounter();
    await expect(store.append(counter, counted(1))).resolves.toMatchObject({ version: 1 });
    expect(await observer.store.currentVersion(counter)).toBe(1);
    expect(store.warnings).toHaveLength(1);
  });

  it('is not used by any other write either', async () => {
    const [one, two, three] = [newCounter(), newCounter(), newCounter()];
    await observer.store.append(three, counted(1));
    const appends = [one, two].map((aggregate) => ({ aggregate, events: counted(1, 2) }));
    await store.appendAll(appends);
    await leave(dataSource);
    await store.snapshot(three, { total: 1 }, 1);
    expect(await observer.store.currentVersion(two)).toBe(2);
    expect(await observer.store.getSnapshot(three)).toMatchObject({ version: 1 });
  });

  it('is not read from, because it shows what may never be committed', async () => {
    const counter = newCounter();
    await observer.store.append(counter, counted(1));
    const { records } = await store.fetchByAggregate(counter);
    expect(records).toHaveLength(1);
    await leave(dataSource);
    await expect(store.currentPosition()).resolves.toBeGreaterThan(0);
  });

  it('begins no transaction of a projection', async () => {
    const counter = newCounter();
    const names = consumer(`rows-${counter.id}`, async (records, _delivery, manager) => {
      for (const { position } of records) {
        await manager!.query('INSERT INTO invoices VALUES ($1)', [position]);
      }
    });
    const running = await startConsumers(dataSource, store, [names]);
    await leave(dataSource);
    const { position } = await observer.store.append(counter, counted(1));
    await running.control.waitFor(names.name, position);
    await running.stop();
    const rows = await observer.dataSource.query('SELECT FROM invoices WHERE position = $1', [
      position,
    ]);
    expect(rows).toHaveLength(1);
  });
});

describe('a connection whose statement was refused', () => {
  it('is used again, although the server reports ready a moment later', async () => {
    const proxy = await startProxy(observer.database.url);
    const dataSource = new DataSource({
      type: 'postgres',
      url: proxy.url,
      installExtensions: false,
      poolSize: 1,
    });
    const store = await openStore(await dataSource.initialize());
    await observer.dataSource.query(
      'ALTER TABLE event_store.domain_events ADD CONSTRAINT few CHECK (version < 3)',
    );
    const counter = newCounter();
    await store.append(counter, counted(1));
    const connections = proxy.connections.length;
    proxy.readyDelayMs = 100;
    const refused = dataSource.query('SELECT 1 / 0');
    // Waits for the connection, and gets it at once.
    const appended = store.append(counter, counted(2));
    await expect(refused).rejects.toThrow('division by zero');
    await appended;
    await expect(store.append(counter, counted(3))).rejects.toMatchObject({ constraint: 'few' });
    expect(await store.currentVersion(counter)).toBe(2);
    expect(proxy.connections).toHaveLength(connections);
    expect(store.warnings).toEqual([]);
    await observer.dataSource.query('ALTER TABLE event_store.domain_events DROP CONSTRAINT few');
    await dataSource.destroy();
    await proxy.close();
  });
});

describe('a projection whose statement outlasts the query timeout once', () => {
  it('has written one row for its event when it has caught up', async () => {
    const dataSource = await observer.database.dataSource();
    const store = await openStore(dataSource);
    let attempts = 0;
    const rows = consumer(
      'slow-once',
      async (records, _delivery, manager) => {
        for (const { position } of records) {
          await manager!.query('INSERT INTO invoices VALUES ($1)', [position]);
        }
        if ((attempts += 1) > 1) return;
        await giveUpSoon(manager!.queryRunner!);
        await manager!.query('SELECT pg_sleep(1.5)');
      },
      { from: 'now' },
    );
    const running = await startConsumers(dataSource, store, [rows]);
    const { position } = await store.append(newCounter(), counted(1));
    await running.control.waitFor('slow-once', position);
    await running.stop();
    await dataSource.destroy();
    expect(attempts).toBeGreaterThan(1);
    const written = 'SELECT FROM invoices WHERE position = $1';
    expect(await observer.dataSource.query(written, [position])).toHaveLength(1);
  });

  it('commits nothing of a handler that swallows the error of its own statement', async () => {
    const dataSource = await observer.database.dataSource();
    const store = await openStore(dataSource);
    const swallows = consumer(
      'swallows',
      async ([record], _delivery, manager) => {
        await manager!.query('INSERT INTO invoices VALUES ($1)', [record!.position]);
        // Not awaited: it fails after the last statement whose result the store checks.
        void manager!.query('SELECT 1 / 0').catch(() => 'swallowed');
      },
      { from: 'now', retry: { delayMs: () => undefined } },
    );
    const running = await startConsumers(dataSource, store, [swallows]);
    const { position } = await store.append(newCounter(), counted(1));
    await eventually(async () => {
      const [state] = (await running.control.list()).consumers.filter(
        ({ name }) => name === 'swallows',
      );
      return state!.status === 'stopped' && state!.position < position;
    });
    await running.stop();
    const written = 'SELECT FROM invoices WHERE position = $1';
    expect(await observer.dataSource.query(written, [position])).toEqual([]);
  });
});

describe('a connection that cannot be made', () => {
  it('has applied nothing, even if a proxy accepts it and then closes it', async () => {
    const dataSource = await observer.database.dataSource({ poolSize: 1 });
    const store = await openStore(dataSource);
    const options = { schema: store.schema, preparedStatements: true, listen: false };
    const { registry } = postgresConsumers(dataSource, options);
    const closes = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => closes.listen(0, '127.0.0.1', resolve));
    const { port } = closes.address() as AddressInfo;
    const { master } = dataSource.driver as unknown as { master: { options: object } };
    Object.assign(master.options, { connectionString: `postgres://u@127.0.0.1:${port}/d` });
    // The only connection ends, so that another one has to be made.
    await dataSource.query('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => 'gone');

    const calls = [
      () => store.append(newCounter(), counted(1)),
      () => store.appendAll([{ aggregate: newCounter(), events: counted(1) }]),
      () => store.snapshot(newCounter(), {}, 1),
      () => store.fetch(),
      () => registry.reset('letters', 1),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: 'CONNECTION_LOST',
        outcome: 'not-applied',
        retryable: true,
      });
    }
    closes.close();
  });
});

describe('a read that loses its connection', () => {
  it('is repeated once on another one', async () => {
    const proxy = await startProxy(observer.database.url);
    const dataSource = new DataSource({
      type: 'postgres',
      url: proxy.url,
      installExtensions: false,
    });
    const store = await openStore(await dataSource.initialize());
    const counter = newCounter();
    await store.append(counter, counted(1));
    await store.snapshot(counter, { total: 1 }, 1);
    const reads: Readonly<Record<string, () => Promise<unknown>>> = {
      fetchHistory: () => store.fetchHistory(counter),
      fetchByAggregate: () => store.fetchByAggregate(counter),
      fetch: () => store.fetch(),
      getSnapshot: () => store.getSnapshot(counter),
      currentVersion: () => store.currentVersion(counter),
      horizon: () => store.horizon(),
    };
    for (const read of Object.values(reads)) {
      for (const kind of ['lost', 'reply-lost'] as const) {
        const undisturbed = await read();
        let isDue = true;
        proxy.interfere = () => {
          const what = isDue ? kind : undefined;
          isDue = false;
          return what;
        };
        expect(await read()).toEqual(undisturbed);
        expect(isDue).toBe(false);
      }
    }
    proxy.interfere = () => 'lost';
    await expect(store.fetch()).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      outcome: 'not-applied',
    });
    proxy.interfere = () => undefined;
    await dataSource.destroy();
    await proxy.close();
  });
});
