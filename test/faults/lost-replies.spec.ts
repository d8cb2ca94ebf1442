import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { EventData } from '../../lib/events/event-data.ts';
import type { AggregateRef } from '../../lib/store/aggregate-ref.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { killAll } from '../support/processes.ts';
import { seed } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { countCopies, tally } from '../support/tally.ts';
import { type Interference, startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { Trial } from './harness/trial.ts';

const everyKind = ['lost', 'reply-lost', 'left-behind'] as const;

/** There is one event in the aggregate, the one that was acknowledged. */
async function expectOneCopy(
  store: TestStore,
  aggregate: AggregateRef,
  id: string,
  fault: 'F5' | 'F6',
): Promise<void> {
  const { records } = await store.fetchByAggregate(aggregate);
  const ids = records.map((record) => record.id);
  tally(fault, { acknowledged: 1, ...countCopies([id], ids) });
  expect(records).toMatchObject([{ id, version: 1 }]);
}

describe('an append whose connection is reset', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let dataSource: DataSource;
  let store: TestStore;

  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startProxy(database.url);
    dataSource = new DataSource({ type: 'postgres', url: proxy.url, installExtensions: false });
    store = await openStore(await dataSource.initialize());
  });
  afterAll(async () => {
    await dataSource.destroy();
    await proxy.close();
    await database.drop();
  });

  /** Applies the fault to the requests that have this text, as often as given. */
  function interfere(interference: Interference, text: string, times: number): void {
    proxy.interfere = (request) => {
      if (times === 0 || !request.includes(text)) return undefined;
      times -= 1;
      return interference;
    };
  }

  it.each(everyKind)('once (%s) is stored once, and no caller notices', async (kind) => {
    const id = randomUUID();
    const aggregate = { type: 'counter', id: `once-${kind}` };
    interfere(kind, id, 1);
    const events = [new EventData(new Counted(1), { id })];
    const result = await store.append(aggregate, events, { expectedVersion: 0 });
    expect(result).toMatchObject({ version: 1, records: [{ id, version: 1 }] });
    const [stored] = (await store.fetchByAggregate(aggregate)).records;
    expect(stored!.position).toBe(result.position);
    await expectOneCopy(store, aggregate, id, 'F5');
  });

  it.each(everyKind)(
    'twice (%s) has an unknown outcome, and its repetition succeeds',
    async (kind) => {
      const id = randomUUID();
      const aggregate = { type: 'counter', id: `twice-${kind}` };
      interfere(kind, id, 2);
      const append = () =>
        store.append(aggregate, [new EventData(new Counted(1), { id })], { expectedVersion: 0 });
      await expect(append()).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
      const isStored = kind !== 'lost';
      if (isStored) await eventually(async () => (await store.currentVersion(aggregate)) === 1);
      expect(await append()).toMatchObject({ version: 1, duplicate: isStored });
      await expectOneCopy(store, aggregate, id, 'F5');
    },
  );

  it('again while its first result is read has an unknown outcome', async () => {
    const id = randomUUID();
    const aggregate = { type: 'counter', id: 'read-again' };
    const events = [new EventData(new Counted(1), { id })];
    await store.append(aggregate, events);
    proxy.interfere = (request) =>
      request.includes('read-again') && !request.includes(id) ? 'lost' : undefined;
    await expect(store.append(aggregate, events)).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      outcome: 'unknown',
    });
  });

  it.each(everyKind)(
    'in the COMMIT of its caller (%s) is found by the repetition of the transaction',
    async (kind) => {
      const id = randomUUID();
      const aggregate = { type: 'counter', id: `commit-${kind}` };
      interfere(kind, 'COMMIT\0', 1);
      const transaction = () =>
        dataSource.transaction((manager) =>
          store.append(aggregate, [new EventData(new Counted(1), { id })], {
            expectedVersion: 0,
            manager,
          }),
        );
      await expect(transaction()).rejects.toThrow(/Connection terminated|ECONNRESET/);
      const isStored = kind !== 'lost';
      if (isStored) await eventually(async () => (await store.currentVersion(aggregate)) === 1);
      expect(await transaction()).toMatchObject({ version: 1, duplicate: isStored });
      await expectOneCopy(store, aggregate, id, 'F5');
    },
  );
});

describe('an append over a half-open connection', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let dataSource: DataSource;
  let store: TestStore;

  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startProxy(database.url);
    dataSource = new DataSource({
      type: 'postgres',
      url: proxy.url,
      installExtensions: false,
      // Without it, the system itself gives up, after a quarter of an hour or so.
      extra: { query_timeout: 1_000, connectionTimeoutMillis: 1_000 },
    });
    // Migrates without these limits.
    await openStore(await database.dataSource());
    store = await openStore(await dataSource.initialize());
  });
  afterAll(async () => {
    await dataSource.destroy();
    await proxy.close();
    await database.drop();
  });

  it.each(['swallowed', 'reply-swallowed'] as const)(
    'is stored once, by another connection (%s)',
    async (kind) => {
      const id = randomUUID();
      const aggregate = { type: 'counter', id: kind };
      let times = 1;
      proxy.interfere = (request) => (request.includes(id) && times-- > 0 ? kind : undefined);
      const events = [new EventData(new Counted(1), { id })];
      const append = () => store.append(aggregate, events, { expectedVersion: 0 });
      const result = await append().catch((error: { code: string }) => {
        expect(error).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
        return append();
      });
      expect(result).toMatchObject({ version: 1, records: [{ id, version: 1 }] });
      await expectOneCopy(store, aggregate, id, 'F6');
      // Nothing uses the dead connection again.
      for (let n = 0; n < 12; n++)
        await store.append({ type: 'counter', id: `${kind}-${n}` }, [new Counted(n)]);
    },
  );

  it('in a transaction ends the connection, which is not used again', async () => {
    const extra = { query_timeout: 1_000, connectionTimeoutMillis: 1_000, max: 1 };
    const single = new DataSource(Object.assign({}, dataSource.options, { extra }));
    await single.initialize();
    let times = 1;
    proxy.interfere = (request) =>
      request.includes('in-transaction') && times-- > 0 ? 'swallowed' : undefined;
    const aggregate = { type: 'counter', id: 'in-transaction' };
    const appending = single.transaction((manager) =>
      store.append(aggregate, [new Counted(1)], { manager }),
    );
    await expect(appending).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
    expect(await single.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await single.destroy();
  });

  it('costs one statement its timeout, not one for each connection of the pool', async () => {
    const { length: ofOthers } = proxy.connections;
    const own = await new DataSource(dataSource.options).initialize();
    const ownStore = await openStore(own);
    const swallowIdle = async (): Promise<void> => {
      const runners = Array.from({ length: 6 }, () => own.createQueryRunner());
      await Promise.all(runners.map((runner) => runner.connect()));
      await Promise.all(runners.map((runner) => runner.release()));
      for (const connection of proxy.connections.slice(ofOthers)) connection.swallow();
    };
    await swallowIdle();
    // Its second try would meet another dead connection if the pool had not dropped them by then.
    await ownStore.append({ type: 'counter', id: 'one-timeout' }, [new Counted(1)]);
    await swallowIdle();
    const inTransaction = ownStore.transaction(async () => undefined);
    await expect(inTransaction).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await own.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await own.destroy();
  });

  it('fails while all connections are half-open, and succeeds again afterwards', async () => {
    await Promise.all(
      Array.from({ length: 8 }, () => dataSource.query('SELECT pg_sleep(0.01)', [])),
    );
    for (const connection of proxy.connections) connection.swallow();
    proxy.isDeaf = true;
    const append = () => store.append({ type: 'counter', id: 'all' }, [new Counted(1)]);
    await expect(append()).rejects.toMatchObject({ code: expect.stringMatching(/CONNECTION/) });
    proxy.isDeaf = false;
    await eventually(append);
  });
});

describe('applications under load whose connections are reset again and again', () => {
  it('lose, double and reorder nothing', async () => {
    const trial = await Trial.start({ seed: seed(), proxied: true });
    try {
      await trial.load();
      // Appends, and the ends of transactions.
      const isWorthIt = /ledger[.](deposited|withdrawn)|COMMIT\0/;
      trial.proxy!.interfere = (request) =>
        isWorthIt.test(request) && trial.choices.next() < 0.05
          ? trial.choices.pick(everyKind)
          : undefined;
      let seen = trial.proxy!.connections.length;
      await eventually(() => trial.proxy!.connections.length > seen + 30);
      seen = trial.proxy!.connections.length;
      await trial.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'trial'`,
      );
      await eventually(() => trial.proxy!.connections.length > seen + 10);
      trial.proxy!.interfere = () => undefined;
      await trial.recovered();
      const report = await trial.finish('resets, and backends terminated');
      for (const fault of ['F4', 'F5'] as const) tally(fault, report);
      const { findings, unknown } = report;
      expect(findings).toEqual([]);
      expect(unknown).toBeGreaterThan(0);
    } finally {
      await trial.close();
      await killAll();
    }
  });
});
