import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventData } from 'nest-event-store';
import { DataSource } from 'typeorm';
import { consumer } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

let server: OwnServer;
let dataSource: DataSource;
let store: TestStore;
let ids = 0;

// From the restart on, every commit waits for a standby that does not exist.
beforeAll(async () => {
  server = await startOwnServer();
  const setUp = await connect();
  await openStore(setUp);
  await setUp.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
  await setUp.destroy();
  await server.goDown('stopped');
  await server.comeBack();
  dataSource = await connect();
  store = await openStore(dataSource, { allowRemoval: true });
});
afterAll(async () => {
  await dataSource.destroy();
  await server.stop();
});

const connect = (): Promise<DataSource> =>
  new DataSource({ type: 'postgres', url: server.url, installExtensions: false }).initialize();

const newCounter = () => ({ type: 'counter', id: `c-${(ids += 1)}` });
const counted = () => new EventData(new Counted(1), { id: randomUUID() });

/** Resolves with the processes that wait for the standby, once there are `count` of them. */
async function waiting(count = 1): Promise<number[]> {
  const pids: number[] = [];
  await eventually(async () => {
    const rows = await dataSource.query<{ pid: number }[]>(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'`,
    );
    pids.splice(0, pids.length, ...rows.map(({ pid }) => pid));
    return pids.length === count;
  });
  return pids;
}

async function cancelWait(): Promise<void> {
  await dataSource.query('SELECT pg_cancel_backend($1)', await waiting());
}

/** Cancels the wait of the work, and returns its result or its error. */
async function cancelled(work: Promise<unknown>): Promise<unknown> {
  const ended = work.catch((error: unknown) => error);
  await cancelWait();
  return ended;
}

describe('When the wait for the synchronous standby is cancelled', () => {
  it('an append that has committed reports that it may not be durable', async () => {
    const counter = newCounter();
    expect(await cancelled(store.append(counter, [new Counted(1)]))).toMatchObject({
      name: 'DurabilityUncertainError',
      outcome: 'unknown',
      retryable: false,
      aggregates: [counter],
    });
    expect(await store.currentVersion(counter)).toBe(1);
  });

  it('a refused append of the same batch gets its own answer', async () => {
    const [stored, refused] = [newCounter(), newCounter()];
    const both = Promise.allSettled([
      store.append(stored, [counted()]),
      store.append(refused, [counted()], { expectedVersion: 7 }),
    ]);
    await cancelWait();
    expect(await both).toMatchObject([
      { reason: { code: 'DURABILITY_UNCERTAIN', aggregates: [stored] } },
      { reason: { code: 'WRONG_EXPECTED_VERSION', outcome: 'not-applied' } },
    ]);
  });

  it('appendAll, an append with an inline projection, and a removal report it too', async () => {
    const inline = await openStore(dataSource);
    inline.applyInline([consumer('inline', async () => undefined, { kind: 'inline-projection' })]);
    const [one, two] = [newCounter(), newCounter()];
    const appends = [one, two].map((aggregate) => ({ aggregate, events: [counted()] }));
    for (const [work, aggregates] of [
      [() => store.appendAll(appends), [one, two]],
      [() => inline.append(one, [counted()]), [one]],
      [() => store.removeEvents(one), [one]],
    ] as const) {
      const error = await cancelled(work());
      expect(error).toMatchObject({ code: 'DURABILITY_UNCERTAIN', aggregates });
    }
  });

  it('a COMMIT of the caller succeeds, as it does in PostgreSQL', async () => {
    const counter = newCounter();
    const transaction = dataSource.transaction((manager) =>
      store.append(counter, [counted()], { manager }),
    );
    expect(await cancelled(transaction)).toMatchObject({ version: 1 });
  });

  it('a repetition waits again, and its answer is certain', async () => {
    const [cut, lost] = [newCounter(), newCounter()];
    const events = [counted()];
    await cancelled(store.append(cut, events));
    const byCaller = store.append(cut, events);
    await waiting(1);
    // The store itself repeats an append whose connection is ended while it waits.
    const other = await openStore(dataSource);
    const byStore = other.append(lost, [new Counted(1)]);
    const before = await waiting(2);
    const [last] = await dataSource.query<{ pid: number }[]>(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY query_start DESC`,
    );
    await dataSource.query('SELECT pg_terminate_backend($1)', [last!.pid]);
    await eventually(async () => (await waiting(2)).some((pid) => !before.includes(pid)));

    await dataSource.query(`ALTER SYSTEM SET synchronous_standby_names = ''`);
    await dataSource.query('SELECT pg_reload_conf()');
    const answers = await Promise.all([byCaller, byStore]);
    expect(answers).toMatchObject([
      { version: 1, duplicate: true },
      { version: 1, duplicate: false },
    ]);
    tally('F19', { acknowledged: answers.length });
  });
});
