import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventRecord } from '../../lib/events/event-record.ts';
import type { Delivery } from '../../lib/subscriptions/delivery.ts';
import { exponentialBackoff, noRetry } from '../../lib/subscriptions/retry-policy.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';

let database: TestDatabase;
let dataSource: DataSource;
let store: TestStore;
let schemas = 0;
let processes: TestProcess[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await database.dataSource({ extra: { max: 20 } });
});

beforeEach(async () => {
  store = await openStore(dataSource, { schema: `consumers_${++schemas}` });
  await dataSource.query(`CREATE TABLE "${store.schema}".seen (
    n bigserial, consumer text, generation integer, position bigint, aggregate text, by integer)`);
});

afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});

afterAll(() => database.drop());

const start: typeof startConsumers = async (...args) => {
  const started = await startConsumers(...args);
  processes.push(started);
  return started;
};

const append = (id: string, ...by: number[]) =>
  store.append(
    { type: 'counter', id },
    by.map((each) => new Counted(each)),
  );

/** Writes every record it gets, without looking whether it is there. */
const recordInto =
  (schema: string) =>
  async (
    records: readonly EventRecord[],
    { consumer: name, generation }: Delivery,
    manager: EntityManager | undefined,
  ): Promise<void> => {
    await manager!.query(
      `INSERT INTO "${schema}".seen (consumer, generation, position, aggregate, by)
       SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::integer[])`,
      [
        name,
        generation,
        records.map(({ position }) => position),
        records.map(({ aggregate }) => aggregate.id),
        records.map(({ event }) => (event as Counted).by),
      ],
    );
  };

const seenPositions = async (name: string): Promise<number[]> =>
  (
    await dataSource.query(
      `SELECT position::float8 FROM "${store.schema}".seen WHERE consumer = $1 ORDER BY n`,
      [name],
    )
  ).map((row: { position: number }) => row.position);

const logPositions = async (): Promise<number[]> =>
  (await store.fetch(0, { limit: 10_000 })).records.map(({ position }) => position);

describe('a projection', () => {
  it('applies every event once, those of the past and those to come', async () => {
    await append('a', 1, 2, 3);
    const { control } = await start(dataSource, store, [
      consumer('all', recordInto(store.schema), { batchSize: 2 }),
    ]);
    await append('b', 4);
    const { position } = await append('a', 5);
    await control.waitFor('all', position);
    expect(await seenPositions('all')).toEqual(await logPositions());
    const { consumers } = await control.list();
    expect(consumers).toMatchObject([
      { name: 'all', generation: 1, position, lagEvents: 0, lagMs: 0, parkedEvents: 0 },
    ]);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'live');
  });

  it('goes over to another process when its own stops', async () => {
    const both = [consumer('all', recordInto(store.schema))];
    const first = await start(dataSource, store, both);
    await first.control.waitFor('all', (await append('a', 1)).position);
    await start(dataSource, store, both);
    await first.stop();
    const { position } = await append('a', 2);
    await first.control.waitFor('all', position, { timeoutMs: 500 });
    expect(await seenPositions('all')).toEqual(await logPositions());
  });
});

describe('an event that fails', () => {
  it('is tried again with a growing delay, and then stops its consumer', async () => {
    const attempts: number[] = [];
    await append('a', 1, 13, 2);
    const { control } = await start(dataSource, store, [
      consumer(
        'stops',
        async (records, { attempt }, manager) => {
          await recordInto(store.schema)(
            records,
            { consumer: 'stops', generation: 1, replayed: false, attempt },
            manager,
          );
          if (records.some(({ event }) => (event as Counted).by === 13)) {
            if (records.length === 1) attempts.push(attempt);
            throw new Error('thirteen');
          }
        },
        { retry: exponentialBackoff({ retries: 2, firstDelayMs: 5 }) },
      ),
    ]);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect(attempts).toEqual([1, 2, 3]);
    expect(await seenPositions('stops')).toEqual([1]);
    expect((await control.list()).consumers[0]).toMatchObject({
      position: 1,
      partitions: [{ error: { message: 'Error: thirteen', position: 2, failures: 3 } }],
    });
  });

  it('is parked with those behind it, while other aggregates go on, and applied later in order', async () => {
    let mended = false;
    const { control } = await start(dataSource, store, [
      consumer(
        'parks',
        async (records, delivery, manager) => {
          if (!mended && records.some(({ event }) => (event as Counted).by === 13)) {
            throw new Error('thirteen');
          }
          await recordInto(store.schema)(records, delivery, manager);
        },
        { onFailure: 'park', retry: noRetry },
      ),
    ]);
    await append('a', 1, 13, 2);
    await append('b', 4);
    const { position } = await append('a', 3);
    await control.waitFor('parks', position);
    expect(await seenPositions('parks')).toEqual([1, 4]);
    expect(await control.parked('parks')).toMatchObject([
      { aggregate: { type: 'counter', id: 'a' }, position: 2, events: 3 },
    ]);
    expect(await control.retryParked('parks')).toBe(3);
    await eventually(async () => {
      const [parked] = await control.parked('parks');
      return parked!.failure.failures === 2 && !parked!.retrying;
    });
    mended = true;
    await control.retryParked('parks', { type: 'counter', id: 'a' });
    await eventually(async () => (await control.parked('parks')).length === 0);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5]);
    await control.waitFor('parks', (await append('a', 6)).position);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5, 6]);
  });
});
