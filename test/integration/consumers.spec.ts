import { setTimeout as delay } from 'node:timers/promises';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import type { EventRecord } from '../../lib/events/event-record.ts';
import type { AppendResult } from '../../lib/store/event-store.ts';
import type { GenerationScope } from '../../lib/subscriptions/consumer.ts';
import type { Delivery } from '../../lib/subscriptions/delivery/delivery.ts';
import { channelOf } from '../../lib/postgres/subscriptions/postgres.signals.ts';
import { exponentialBackoff, noRetry } from '../../lib/subscriptions/retry-policy.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

let roles: TestRoles;
/** With the rights of an application. */
let dataSource: DataSource;
let superuser: DataSource;
let store: TestStore;
let schemas = 0;
let acknowledged = 0;
let processes: TestProcess[] = [];

beforeAll(async () => {
  roles = await createTestRoles();
  dataSource = await roles.dataSource('application', { max: 20 });
  superuser = await roles.database.dataSource();
});

beforeEach(async () => {
  acknowledged = 0;
  const schema = `consumers_${++schemas}`;
  await roles.install(schema);
  // For the read models of the tests, which stand in the same schema.
  await superuser.query(`GRANT CREATE ON SCHEMA ${schema} TO ${roles.names.application}`);
  store = await openStore(dataSource, { schema });
  await dataSource.query(`CREATE TABLE "${store.schema}".seen (
    n bigserial, consumer text, generation integer, position bigint, aggregate text, by integer)`);
});

afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});

afterAll(() => roles.drop());

const start: typeof startConsumers = async (...args) => {
  const started = await startConsumers(...args);
  processes.push(started);
  return started;
};

async function append(id: string, ...by: number[]): Promise<AppendResult> {
  const events = by.map((each) => new Counted(each));
  const result = await store.append({ type: 'counter', id }, events);
  acknowledged += 1;
  return result;
}

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

/** Leaves a partition as a process does that held it and was killed. */
async function diedWith(
  name: string,
  { leaseMs, leaseLeftMs, partition }: { leaseMs: number; leaseLeftMs: number; partition: number },
): Promise<void> {
  await dataSource.query(
    `INSERT INTO "${store.schema}".consumer_processes
     VALUES ('dead', ARRAY[$1], true, $2, clock_timestamp() + $3 * interval '1 ms')`,
    [name, leaseMs, leaseLeftMs],
  );
  await dataSource.query(
    `UPDATE "${store.schema}".checkpoints SET owner = 'dead' WHERE consumer = $1 AND partition = $2`,
    [name, partition],
  );
}

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
    // Nobody waits for the end of this lease.
    const first = await start(dataSource, store, both, { leaseMs: 10 * patiently.timeoutMs });
    await first.control.waitFor('all', (await append('a', 1)).position);
    await start(dataSource, store, both);
    await first.stop();
    const { position } = await append('a', 2);
    await first.control.waitFor('all', position);
    expect(await seenPositions('all')).toEqual(await logPositions());
  });
});

describe('an event that fails', () => {
  afterEach(() => tally('F16', { acknowledged }));

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

  it('is parked with later ones of its aggregate, while other aggregates continue, and applied later in order', async () => {
    let fixed = false;
    const { control } = await start(dataSource, store, [
      consumer(
        'parks',
        async (records, delivery, manager) => {
          if (!fixed && records.some(({ event }) => (event as Counted).by === 13)) {
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
    fixed = true;
    await control.retryParked('parks', { type: 'counter', id: 'a' });
    await eventually(async () => (await control.parked('parks')).length === 0);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5]);
    await control.waitFor('parks', (await append('a', 6)).position);
    expect(await seenPositions('parks')).toEqual([1, 4, 2, 3, 5, 6]);
  });
});

describe('an aggregate that is parked', () => {
  afterEach(() => tally('F16', { acknowledged }));

  it('keeps nothing parked that came after its retry or the discard of its only event', async () => {
    let fixed = false;
    let reached = false;
    let goOn = (): void => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const { control } = await start(
      dataSource,
      store,
      [
        consumer(
          'parks',
          async (records, delivery, manager) => {
            const numbers = records.map(({ event }) => (event as Counted).by);
            if (numbers.includes(13) && !fixed) throw new Error('thirteen');
            if (numbers.includes(50)) {
              reached = true;
              await gate;
            }
            await recordInto(store.schema)(records, delivery, manager);
          },
          { onFailure: 'park', retry: noRetry },
        ),
      ],
      { leaseMs: 300 },
    );
    await control.waitFor('parks', (await append('a', 13)).position);
    // In one batch with an event that takes its time, a follower is parked after the retry was asked.
    await store.appendAll([
      { aggregate: { type: 'counter', id: 'b' }, events: [new Counted(50)] },
      { aggregate: { type: 'counter', id: 'a' }, events: [new Counted(14)] },
    ]);
    await eventually(() => reached);
    fixed = true;
    await control.retryParked('parks');
    goOn();
    await eventually(async () => (await seenPositions('parks')).join() === '2,1,3');

    fixed = false;
    const { position } = await append('a', 13);
    await control.waitFor('parks', position);
    await control.discardParked('parks', position);
    await append('a', 15, 16);
    await eventually(async () => (await seenPositions('parks')).join() === '2,1,3,5,6');
    expect(await control.parked('parks')).toEqual([]);
  });

  it('is that of the event, if it cannot be read, and other partitions are unaffected', async () => {
    await append('a', 1);
    await superuser.query(`SET session_replication_role = replica;
      UPDATE "${store.schema}".domain_events SET revision = 9;
      SET session_replication_role = DEFAULT`);
    const { position } = await append('b', 2);
    const { control } = await start(dataSource, store, [
      consumer('parks', recordInto(store.schema), {
        onFailure: 'park',
        retry: noRetry,
        partitions: 3,
      }),
    ]);
    await control.waitFor('parks', position);
    expect(await seenPositions('parks')).toEqual([2]);
    expect(await control.parked('parks')).toMatchObject([{ aggregate: { id: 'a' }, events: 1 }]);
  });
});

describe('a lease', () => {
  it('is kept during a batch that takes longer, also in a pool of one connection', async () => {
    const single = await roles.dataSource('application', { max: 1 });
    const here = await openStore(single, { schema: store.schema });
    let calls = 0;
    let isRenewed = false;
    const slow = () =>
      consumer('slow', async (records, delivery, manager) => {
        calls += 1;
        while (!isRenewed) await manager!.query('SELECT pg_sleep(0.05)');
        await recordInto(store.schema)(records, delivery, manager);
      });
    const { position } = await append('a', 1, 2);
    const leaseMs = 3_000;
    const first = await start(single, here, [slow()], { leaseMs });
    await eventually(() => calls === 1);
    const second = await start(dataSource, store, [slow()], { leaseMs });
    const leases = `"${store.schema}".consumer_processes`;
    const ends = await dataSource.query(`SELECT owner, lease_expires_at FROM ${leases}`);
    await eventually(async () => {
      const renewed = await dataSource.query(
        `SELECT FROM ${leases} AS l, jsonb_to_recordset($1) AS b (owner text, lease_expires_at timestamptz)
         WHERE l.owner = b.owner AND l.lease_expires_at > b.lease_expires_at + $2 * interval '1 ms'`,
        [JSON.stringify(ends), leaseMs],
      );
      return renewed.length === 2;
    });
    isRenewed = true;
    await second.control.waitFor('slow', position);
    expect(calls).toBe(1);
    expect(first.messages.concat(second.messages)).toEqual([]);
  });

  it('that could not be renewed sets off nothing any more', async () => {
    let calls = 0;
    await start(
      dataSource,
      store,
      [
        consumer(
          'fails',
          async () => {
            calls += 1;
            throw new Error('again');
          },
          { kind: 'handler', retry: { delayMs: () => 600 } },
        ),
      ],
      { leaseMs: 500 },
    );
    await append('a', 1);
    const isRetrying = `SELECT FROM "${store.schema}".checkpoints WHERE status = 'retrying'`;
    await eventually(async () => (await dataSource.query(isRetrying)).length === 1);
    await dataSource.transaction(async (manager) => {
      // The renewal has to wait, and the lease ends.
      const table = `"${store.schema}".consumer_processes`;
      await manager.query(`SELECT FROM ${table} FOR UPDATE`);
      const isOverBy = (seconds: number): Promise<boolean> =>
        eventually(async () => {
          const [row] = await manager.query(
            `SELECT lease_expires_at < clock_timestamp() - $1 * interval '1 s' AS over FROM ${table}`,
            [seconds],
          );
          return row.over;
        });
      await isOverBy(0);
      const before = calls;
      // The next attempt would have been due meanwhile.
      await isOverBy(0.9);
      expect(calls).toBe(before);
    });
  });

  it('that runs out again and again stops the consumer, with the event to blame', async () => {
    const all = [consumer('all', recordInto(store.schema))];
    const first = await start(dataSource, store, all);
    await first.stop();
    await append('a', 1);
    await dataSource.query(
      `UPDATE "${store.schema}".checkpoints
       SET owner = 'lost', takeovers = 9`,
    );
    const { control } = await start(dataSource, store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      "HandlerCrashedError: The consumer 'all' was lost by 10 processes in a row",
    );
    await control.start('all');
    await control.waitFor('all', 1);
    tally('F16', { acknowledged });
  });
});

describe('an append of another process', () => {
  it('is noticed at once, and without LISTEN by polling', async () => {
    const slowPoll = { pollIntervalMs: 60_000, leaseMs: 3_600_000 };
    const { control } = await start(
      dataSource,
      store,
      [consumer('told', recordInto(store.schema))],
      slowPoll,
    );
    const polling = { pollIntervalMs: 50, listen: false };
    await start(dataSource, store, [consumer('polls', recordInto(store.schema))], polling);
    const other = await openStore(dataSource, { schema: store.schema });
    const { position } = await other.append({ type: 'counter', id: 'x' }, [new Counted(1)]);
    await dataSource.query('SELECT pg_notify($1, $2)', [channelOf(store.schema), 'append']);
    await control.waitFor('told', position);
    await control.waitFor('polls', position);
    expect(await seenPositions('told')).toEqual([position]);
  });
});

describe('the number of partitions', () => {
  it('can change while the consumer is in use: nothing is left out, doubled or reordered', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `p${n}`);
    const appendToAll = async (by: number): Promise<number> => {
      const results = await Promise.all(ids.map((id) => append(id, by, by + 1)));
      return Math.max(...results.map(({ position }) => position));
    };
    let hold: string | undefined = 'p3';
    const slowly = (partitions: number) =>
      consumer(
        'parts',
        async (records, delivery, manager) => {
          // One partition lags behind the others when the number changes.
          if (records.some(({ aggregate }) => aggregate.id === hold)) throw new Error('held');
          await recordInto(store.schema)(records, delivery, manager);
        },
        {
          partitions,
          batchSize: 2,
          retry: exponentialBackoff({ retries: 1_000, firstDelayMs: 5, maxDelayMs: 20 }),
        },
      );
    const three = await start(dataSource, store, [slowly(3)]);
    await appendToAll(1);
    await eventually(async () => (await seenPositions('parts')).length >= 10);
    await three.stop();
    const five = await start(dataSource, store, [slowly(5)]);
    await appendToAll(3);
    await eventually(async () => (await seenPositions('parts')).length >= 20);
    await five.stop();
    hold = undefined;
    const { control } = await start(dataSource, store, [slowly(2)]);
    await control.waitFor('parts', await appendToAll(5));

    const seen = await dataSource.query(
      `SELECT aggregate, array_agg(by ORDER BY n) AS by FROM "${store.schema}".seen GROUP BY 1`,
    );
    expect(seen).toHaveLength(12);
    for (const { by } of seen) expect(by).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('changes once its owners have finished what they have in hand, and nothing beside them', async () => {
    const handled: string[] = [];
    let inHand: string | undefined;
    let letGo = (): void => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const each = (process: string, partitions: number) =>
      consumer(
        'beside',
        async ([record]) => {
          const { aggregate, event } = record!;
          const { by } = event as Counted;
          if (aggregate.id === 'a' && by === 1) {
            inHand = process;
            await gate;
          }
          handled.push(`${aggregate.id}${by} ${process}`);
        },
        { kind: 'handler', partitions },
      );
    const first = await start(dataSource, store, [each('first', 3)]);
    await append('a', 1, 2);
    await eventually(() => inHand === 'first');
    const { control } = await start(dataSource, store, [each('second', 5)]);
    await append('b', 1);
    const owners = async (): Promise<(string | null)[]> =>
      (await control.list()).consumers[0]!.partitions.map(({ owner }) => owner);
    await eventually(async () => (await owners()).filter((owner) => owner === null).length === 2);
    // Both processes look again, and pass over what is in hand.
    const [{ now }] = await dataSource.query('SELECT clock_timestamp() AS now');
    await eventually(async () => {
      const late = await dataSource.query(
        `SELECT FROM "${store.schema}".consumer_processes
         WHERE lease_expires_at <= $1::timestamptz + interval '1 second'`,
        [now],
      );
      return late.length === 0;
    });
    expect(await owners()).toHaveLength(3);
    expect(handled).not.toContain('a1 second');

    letGo();
    await eventually(async () => (await owners()).filter(Boolean).length === 5);
    await control.waitFor('beside', await append('a', 3).then(({ position }) => position));
    expect(handled.filter((one) => one.startsWith('a')).map((one) => one.slice(0, 2))).toEqual([
      'a1',
      'a2',
      'a3',
    ]);
    expect(handled).toContain('a1 first');
    expect(new Set(await owners()).size).toBe(2);
    await first.stop();
  });

  it('waits for an owner that is dead no longer than its lease', async () => {
    const each = (partitions: number) =>
      consumer('orphans', recordInto(store.schema), { partitions });
    await (await start(dataSource, store, [each(3)])).stop();
    await diedWith('orphans', { leaseMs: 500, leaseLeftMs: 500, partition: 1 });
    const { control } = await start(dataSource, store, [each(2)], { leaseMs: 300 });
    const { position } = await append('a', 1);
    await control.waitFor('orphans', position);
    expect(await seenPositions('orphans')).toEqual([position]);
    expect((await control.list()).consumers[0]!.partitions).toHaveLength(2);
  });

  it('is spread over the processes that run the consumer', async () => {
    const each = () => [consumer('spread', recordInto(store.schema), { partitions: 4 })];
    const owners = async (control: TestProcess['control']): Promise<number[]> => {
      const { partitions } = (await control.list()).consumers[0]!;
      const counts = new Map<string | null, number>();
      for (const { owner } of partitions) counts.set(owner, (counts.get(owner) ?? 0) + 1);
      return [...counts.values()].toSorted((a, b) => a - b);
    };
    const { control } = await start(dataSource, store, each(), { leaseMs: 300 });
    expect(await owners(control)).toEqual([4]);
    const second = await start(dataSource, store, each(), { leaseMs: 300 });
    await eventually(async () => (await owners(control)).join() === '2,2');
    await second.stop();
    await eventually(async () => (await owners(control)).join() === '4');
  });
});

describe('a rebuild', () => {
  afterEach(() => tally('F20', { acknowledged }));

  const tables = (schema: string) => ({
    prepare: async ({ generation, manager }: GenerationScope) => {
      await manager.query(`CREATE TABLE "${schema}".sum_${generation} (by integer)`);
    },
    activate: async ({ generation, manager }: GenerationScope) => {
      await manager.query(
        `CREATE OR REPLACE VIEW "${schema}".sum AS SELECT by FROM "${schema}".sum_${generation}`,
      );
    },
    discard: async ({ generation, manager }: GenerationScope) => {
      await manager.query(`DROP TABLE "${schema}".sum_${generation}`);
    },
  });
  const replays: boolean[] = [];
  const summing = (options: Partial<Parameters<typeof consumer>[2]> = {}) => {
    const { schema } = store;
    return consumer(
      'sum',
      async (records, { generation, replayed }, manager) => {
        if (generation > 1) replays.push(replayed);
        await manager!.query(
          `INSERT INTO "${schema}".sum_${generation} SELECT * FROM unnest($1::integer[])`,
          [records.map(({ event }) => (event as Counted).by)],
        );
      },
      { hooks: tables(schema), batchSize: 2, ...options },
    );
  };
  const sum = async (): Promise<number> =>
    (
      await dataSource.query(
        `SELECT coalesce(sum(by), 0)::integer AS sum FROM "${store.schema}".sum`,
      )
    )[0].sum;
  const generations = async (): Promise<string[]> =>
    (
      await dataSource.query(
        `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relname LIKE 'sum_%'`,
        [store.schema],
      )
    ).map(({ relname }: { relname: string }) => relname);

  it('answers from the old generation until the new one has come as far', async () => {
    const { control } = await start(dataSource, store, [summing()]);
    await control.waitFor('sum', (await append('a', 1, 2, 3, 4, 5)).position);
    expect(await control.rebuild('sum', { eventsPerSecond: 50 })).toBe(2);
    await expect(control.rebuild('sum')).rejects.toThrow('is being rebuilt as generation 2');
    const { rebuild } = (await control.list()).consumers[0]!;
    expect(rebuild).toMatchObject({ generation: 2, target: 5 });
    for (const by of [6, 7, 8]) await append('b', by);
    await eventually(async () => {
      expect(await sum()).toBeGreaterThanOrEqual(15);
      return (await control.list()).consumers[0]!.generation === 2;
    });
    await control.waitFor('sum', (await append('a', 100)).position);
    const { records } = await store.fetch();
    const expected = records.reduce((total, { event }) => total + (event as Counted).by, 0);
    expect(await sum()).toBe(expected);
    expect(await generations()).toEqual(['sum_2']);
    expect(replays[0]).toBe(true);
    expect(replays.at(-1)).toBe(false);
  });

  it('can be cancelled, and then everything is as it was', async () => {
    const { control } = await start(dataSource, store, [summing()]);
    await control.waitFor('sum', (await append('a', 1, 2, 3, 4, 5)).position);
    await control.rebuild('sum', { eventsPerSecond: 1 });
    await eventually(async () => (await generations()).includes('sum_2'));
    await control.cancelRebuild('sum');
    expect(await generations()).toEqual(['sum_1']);
    await control.waitFor('sum', (await append('a', 6)).position);
    expect(await sum()).toBe(21);
    await expect(control.cancelRebuild('sum')).rejects.toThrow('is not being rebuilt');
  });

  it('of a handler repeats no effect, and leaves none out', async () => {
    const effects: number[] = [];
    const { control } = await start(dataSource, store, [
      consumer(
        'effects',
        async ([record], { replayed }) => {
          await delay(2);
          if (!replayed) effects.push(record!.position);
        },
        { kind: 'handler' },
      ),
    ]);
    await append('a', 1, 2, 3, 4, 5);
    await control.rebuild('effects');
    await eventually(async () => {
      await append('a', 6);
      return (await control.list()).consumers[0]!.generation === 2;
    });
    await control.waitFor('effects', (await append('a', 7)).position);
    expect(effects).toEqual(await logPositions());
  });

  it('of a handler goes no further than the one in use, which may not come to the rest', async () => {
    const effects: string[] = [];
    let inHand = false;
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const { control } = await start(dataSource, store, [
      consumer(
        'slow',
        async ([record], { generation, replayed }) => {
          const { position } = record!;
          if (generation === 1 && position === 3) {
            inHand = true;
            await gate;
          }
          effects.push(`${generation}: ${position}${replayed ? ' replayed' : ''}`);
        },
        { kind: 'handler' },
      ),
    ]);
    const { position } = await append('a', 1, 2, 3, 4);
    await eventually(() => inHand);
    await control.rebuild('slow');
    await append('b', 5);
    // The one in use lets go as soon as it is done with what it has in hand.
    const isHalted = `SELECT FROM "${store.schema}".checkpoints WHERE status = 'replaced'`;
    await eventually(async () => (await dataSource.query(isHalted)).length === 1);
    letGo();
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('slow', position + 1);
    expect(
      effects.filter((each) => !each.includes('replayed')).map((each) => each.slice(3)),
    ).toEqual(['1', '2', '3', '4', '5']);
  });

  it('takes over once all of its partitions have come as far', async () => {
    const ids = ['p0', 'p1', 'p2', 'p3'];
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const rebuilt: string[] = [];
    const { control } = await start(dataSource, store, [
      consumer(
        'parts',
        async (records, { generation }) => {
          if (generation === 1) return;
          const aggregates = records.map(({ aggregate }) => aggregate.id);
          if (aggregates.includes('p0')) await gate;
          rebuilt.push(...aggregates);
        },
        { partitions: 4 },
      ),
    ]);
    for (const id of ids) await append(id, 1);
    await control.waitFor('parts', ids.length);
    await control.rebuild('parts');
    // One partition is held up. Whenever another one comes to the end of the log, it tries to take over;
    // the generation in use goes on meanwhile.
    for (const before of [0, 1, 2, 3]) {
      await eventually(() => rebuilt.length > before);
      await control.waitFor('parts', (await append(rebuilt[0]!, 2)).position);
    }
    expect((await control.list()).consumers[0]).toMatchObject({ generation: 1, rebuild: {} });
    letGo();
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    expect(new Set(rebuilt)).toEqual(new Set(ids));
  });

  it('begins a hook again in which the connection was lost', async () => {
    const attempts: number[] = [];
    const { control } = await start(dataSource, store, [
      consumer('hooked', recordInto(store.schema), {
        hooks: {
          prepare: async ({ generation, manager }) => {
            attempts.push(generation);
            if (attempts.length > 2) return;
            if (generation === 2)
              await manager.query('SELECT pg_terminate_backend(pg_backend_pid())');
          },
        },
      }),
    ]);
    await control.rebuild('hooked');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    expect(attempts).toEqual([1, 2, 2]);
  });

  it('repairs a projection that has stopped', async () => {
    let broken = true;
    const { schema } = store;
    const { control } = await start(dataSource, store, [
      summing(),
      consumer(
        'fixed',
        async (records, delivery, manager) => {
          if (broken) throw new Error('broken');
          await recordInto(schema)(records, delivery, manager);
        },
        { retry: noRetry },
      ),
    ]);
    const { position } = await append('a', 1, 2);
    const status = async () =>
      (await control.list()).consumers.find(({ name }) => name === 'fixed')!.status;
    await eventually(async () => (await status()) === 'stopped');
    await expect(control.waitFor('fixed', position, { timeoutMs: 10 })).rejects.toThrow(
      "It has stopped: Error: broken. Fix it, then call start('fixed').",
    );
    broken = false;
    await control.rebuild('fixed');
    await control.waitFor('fixed', position);
    expect(await seenPositions('fixed')).toEqual([1, 2]);
  });
});

describe('a log that is not the one a consumer has read', () => {
  afterEach(() => tally('F18', { acknowledged }));

  /** As after a restore of the events to an earlier time: the event at a position is another one now. */
  const exchangeLast = (position: number) =>
    superuser.query(`SET session_replication_role = replica;
      UPDATE "${store.schema}".domain_events SET event_id = gen_random_uuid() WHERE position = ${position};
      SET session_replication_role = DEFAULT`);

  it('stops it instead of letting it go on', async () => {
    const all = [consumer('all', recordInto(store.schema))];
    const first = await start(dataSource, store, all);
    await first.control.waitFor('all', (await append('a', 1, 2, 3)).position);
    await first.stop();
    await exchangeLast(3);
    await append('a', 4);
    const { control } = await start(dataSource, store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      /^HistoryDivergedError: The log no longer holds what the consumer 'all' read up to position 3/,
    );
    await control.reset('all', 3);
    await control.waitFor('all', 4);
    expect(await seenPositions('all')).toEqual([1, 2, 3, 4]);
  });

  it('stops one that only renews its lease', async () => {
    const { control } = await start(
      dataSource,
      store,
      [consumer('all', recordInto(store.schema))],
      // Nothing is read meanwhile.
      { leaseMs: 600, pollIntervalMs: 86_400_000, listen: false },
    );
    await control.waitFor('all', (await append('a', 1, 2, 3)).position);
    // Then it has nothing more to save.
    await eventually(async () => (await control.list()).consumers[0]!.status === 'live');
    await exchangeLast(3);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    await append('a', 4);
    expect((await control.list()).consumers[0]!.partitions[0]!.error!.message).toMatch(
      /^HistoryDivergedError: .* up to position 3/,
    );
    expect(await seenPositions('all')).toEqual([1, 2, 3]);
  });

  it('commits nothing of a page that was read before', async () => {
    let reached = (): void => undefined;
    const begun = new Promise<void>((resolve) => (reached = resolve));
    let exchanged = (): void => undefined;
    const end = new Promise<void>((resolve) => (exchanged = resolve));
    const { schema } = store;
    await append('a', 1, 2, 3);
    const { control } = await start(dataSource, store, [
      consumer(
        'all',
        async (records, delivery, manager) => {
          await recordInto(schema)(records, delivery, manager);
          reached();
          await end;
        },
        { batchSize: 2 },
      ),
    ]);
    await begun;
    await exchangeLast(2);
    exchanged();
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    expect(await seenPositions('all')).toEqual([]);
    expect((await control.list()).consumers[0]!.position).toBe(0);
  });

  it('is followed again by a rebuild, also if it is shorter than before', async () => {
    const all = [consumer('all', recordInto(store.schema), { partitions: 2 })];
    await append('a', 1, 2, 3);
    const first = await start(dataSource, store, all);
    await first.control.waitFor('all', 3);
    await first.stop();
    await dataSource.query(`UPDATE "${store.schema}".checkpoints SET position = 50`);
    const { control } = await start(dataSource, store, all);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    await control.rebuild('all');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('all', (await append('a', 4)).position);
    expect(await seenPositions('all')).toEqual([1, 2, 3, 1, 2, 3, 4]);
  });
});

describe('parked aggregates that are tried again', () => {
  const parkedCount = 40;

  it('are tried in turns with new events of others, and a stop waits for one of them', async () => {
    let fails = true;
    const handled: string[] = [];
    let haveCome!: () => void;
    const othersCame = new Promise<void>((resolve) => (haveCome = resolve));
    const { control, stop } = await start(dataSource, store, [
      consumer(
        'slow',
        async ([record]) => {
          if (fails) throw new Error('not yet');
          await delay(100);
          if (handled.length > 0) await othersCame;
          handled.push(record!.aggregate.id);
        },
        { kind: 'handler', retry: noRetry, onFailure: 'park' },
      ),
    ]);
    let last = 0;
    for (let n = 0; n < parkedCount; n++) last = (await append(`parked-${n}`, 1)).position;
    await control.waitFor('slow', last);
    expect(await control.parked('slow')).toHaveLength(parkedCount);
    fails = false;
    await control.retryParked('slow');
    await eventually(() => handled.length > 0);
    const { position } = await append('other', 1, 2, 3);
    haveCome();
    await control.waitFor('slow', position);
    expect(handled.filter((id) => id === 'other')).toHaveLength(3);
    // Not behind all that was parked.
    expect(handled.lastIndexOf('other')).toBeLessThan(parkedCount);
    const before = handled.length;
    await stop();
    expect(handled.length).toBeLessThanOrEqual(before + 2);

    const next = await start(dataSource, store, [
      consumer('slow', async ([record]) => void handled.push(record!.aggregate.id), {
        kind: 'handler',
      }),
    ]);
    await eventually(async () => (await next.control.parked('slow')).length === 0);
    // Each once, and what follows is not parked any more.
    expect(new Set(handled).size).toBe(parkedCount + 1);
    expect(handled).toHaveLength(parkedCount + 3);
    await next.control.waitFor('slow', (await append('parked-0', 2)).position);
    expect(handled.at(-1)).toBe('parked-0');
  });

  it('are known without reading all of them at each one that parks', async () => {
    const query = jest.spyOn(pg.Client.prototype, 'query');
    const { control } = await start(dataSource, store, [
      consumer('parking', () => Promise.reject(new Error('never')), {
        ...{ kind: 'handler', retry: noRetry, onFailure: 'park' },
      }),
    ]);
    const { records } = await store
      .appendAll(
        Array.from({ length: 30 }, (_, n) => ({
          aggregate: { type: 'counter', id: `p-${n}` },
          events: [new Counted(n)],
        })),
      )
      .then((results) => results.at(-1)!);
    await control.waitFor('parking', records[0]!.position);
    const reads = query.mock.calls.filter(([statement]) =>
      (statement as { text?: string }).text?.includes('SELECT DISTINCT p.aggregate_type'),
    );
    query.mockRestore();
    expect(await control.parked('parking')).toHaveLength(30);
    expect(reads.length).toBeLessThanOrEqual(2);
  });
});

describe('a batch that takes longer than the database allows', () => {
  it.each([
    ['a transaction', 'transaction_timeout', '25P04', () => delay(50)],
    [
      'a statement',
      'statement_timeout',
      '57014',
      (manager: EntityManager, events: number) =>
        manager.query('SELECT pg_sleep($1)', [events * 0.05]),
    ],
  ])('by its limit of %s is halved until it fits, and says why', async (_, setting, code, work) => {
    const [{ server_version_num: version }] = await dataSource.query('SHOW server_version_num');
    if (setting === 'transaction_timeout' && Number(version) < 170_000) return;
    await append('a', ...Array.from({ length: 20 }, (__, n) => n));
    const { schema } = store;
    const batches: number[] = [];
    const { control, messages } = await start(dataSource, store, [
      consumer('limited', async (records, delivery, manager) => {
        batches.push(records.length);
        // Those that fit have no limit, as a busy machine may need more for them.
        if (records.length > 5) await manager!.query(`SET LOCAL ${setting} = '400ms'`);
        await recordInto(schema)(records, delivery, manager);
        if (setting === 'statement_timeout') await work(manager!, records.length);
        else for (let n = 0; n < records.length; n++) await work(manager!, 1);
      }),
    ]);
    await control.waitFor('limited', 20);
    expect(await seenPositions('limited')).toEqual(Array.from({ length: 20 }, (__, n) => n + 1));
    expect(batches.slice(0, 3)).toEqual([20, 10, 5]);
    expect(messages.join('\n')).toContain(
      setting === 'transaction_timeout' ? code : 'statement timeout',
    );
  });
});

describe('a handler that hangs', () => {
  it('is timed out, and its transaction is rolled back', async () => {
    let hangs = true;
    const { schema } = store;
    const { control } = await start(dataSource, store, [
      consumer(
        'hangs',
        async (records, delivery, manager) => {
          await recordInto(schema)(records, delivery, manager);
          if (hangs) await new Promise(() => undefined);
        },
        {
          timeoutMs: 100,
          retry: exponentialBackoff({ retries: 10_000, firstDelayMs: 5, maxDelayMs: 5 }),
        },
      ),
    ]);
    const { position } = await append('a', 1);
    await eventually(async () => {
      const [state] = (await control.list()).consumers;
      return /HandlerTimeoutError/.test(state!.partitions[0]!.error?.message ?? '');
    });
    hangs = false;
    await control.waitFor('hangs', position);
    expect(await seenPositions('hangs')).toEqual([1]);
    tally('F16', { acknowledged });
  });
});

describe('a pause', () => {
  it('rests until it is resumed', async () => {
    const { control } = await start(dataSource, store, [consumer('all', recordInto(store.schema))]);
    await control.waitFor('all', (await append('a', 1)).position);
    await control.pause('all');
    await eventually(async () => (await control.list()).consumers[0]!.status === 'paused');
    const { position } = await append('a', 2);
    await expect(control.waitFor('all', position, { timeoutMs: 200 })).rejects.toThrow(
      'It is paused',
    );
    await control.resume('all');
    await control.waitFor('all', position);
    await expect(control.pause('al')).rejects.toThrow("There is no consumer 'al'");
  });
});

describe('a reset', () => {
  it('hands events over again, and says that they are', async () => {
    const seen: [number, boolean][] = [];
    const { control } = await start(dataSource, store, [
      consumer(
        'again',
        async ([record], { replayed }) => void seen.push([record!.position, replayed]),
        { kind: 'handler' },
      ),
    ]);
    await control.waitFor('again', (await append('a', 1, 2)).position);
    await control.reset('again', 1);
    await control.waitFor('again', 2);
    await control.waitFor('again', (await append('a', 3)).position);
    expect(seen).toEqual([
      [1, false],
      [2, false],
      [2, true],
      [3, false],
    ]);
  });

  it('and a rebuild after it still know what was handled before', async () => {
    let broken = 0;
    const seen: string[] = [];
    const { control } = await start(dataSource, store, [
      consumer(
        'again',
        async ([record], { generation, replayed }) => {
          if (record!.position === broken) throw new Error('broken');
          seen.push(`${generation}: ${record!.position}${replayed ? ' replayed' : ''}`);
        },
        { kind: 'handler', retry: noRetry },
      ),
    ]);
    await control.waitFor('again', (await append('a', 1, 2, 3)).position);
    broken = 2;
    await control.reset('again', 0);
    await eventually(async () => (await control.list()).consumers[0]!.status === 'stopped');
    broken = 0;
    await control.rebuild('again');
    await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
    await control.waitFor('again', (await append('a', 4)).position);
    expect(seen.filter((each) => each.startsWith('2'))).toEqual([
      '2: 1 replayed',
      '2: 2 replayed',
      '2: 3 replayed',
      '2: 4',
    ]);
  });
});
