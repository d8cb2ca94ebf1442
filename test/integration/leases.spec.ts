import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import type { HeldCheckpoint } from '../../lib/subscriptions/checkpoint-store.ts';
import type { Consumer } from '../../lib/subscriptions/consumer.ts';
import { LeaseLostError } from '../../lib/subscriptions/subscriptions.errors.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { Gates } from '../support/ledger/gates.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useDatabase } from '../support/use-store.ts';

const database = useDatabase();
let dataSource: DataSource;
let store: TestStore;
let schemas = 0;
let processes: TestProcess[] = [];

beforeAll(async () => {
  dataSource = await database.dataSource({ extra: { max: 20 } });
});
beforeEach(async () => {
  store = await openStore(dataSource, { schema: `leases_${++schemas}` });
});
afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});

const start = async (
  consumers: readonly Consumer[],
  options: { leaseMs: number },
): Promise<TestProcess> => {
  const started = await startConsumers(dataSource, store, consumers, options);
  processes.push(started);
  return started;
};

const append = (...by: number[]) =>
  store.append(
    { type: 'counter', id: 'a' },
    by.map((each) => new Counted(each)),
  );

const many = (count: number): Consumer[] =>
  Array.from({ length: count }, (_, n) => consumer(`consumer-${n}`, async () => undefined));

/** What is sent to the database while `work` runs. */
async function sentBy(work: () => Promise<unknown>): Promise<string[]> {
  const query = jest.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    return query.mock.calls.map(([statement]) =>
      typeof statement === 'string' ? statement : (statement as { text: string }).text,
    );
  } finally {
    query.mockRestore();
  }
}

const isRenewal = (statement: string): boolean => statement.includes('hold_checkpoints');

describe('200 consumers', () => {
  it('are started with as many statements as one', async () => {
    const untilTheyRun = async (consumers: readonly Consumer[]): Promise<string[]> => {
      const started: TestProcess[] = [];
      const sent = await sentBy(async () => {
        started.push(await start(consumers, { leaseMs: 60_000 }));
      });
      await started[0]!.stop();
      const own = sent.filter((statement) => !statement.includes('pg_notify'));
      return own.slice(0, own.findIndex(isRenewal) + 1);
    };
    const one = await untilTheyRun(many(1));
    expect(await untilTheyRun(many(200))).toEqual(one);
  });

  it('in three idle processes write one row for each process and renewal', async () => {
    const all = await Promise.all([1, 2, 3].map(() => start(many(200), { leaseMs: 60_000 })));
    await eventually(async () => {
      const { consumers } = await all[0]!.control.list();
      const owners = new Map<string | null, number>();
      for (const { partitions, status } of consumers) {
        if (status !== 'live') return false;
        const { owner } = partitions[0]!;
        owners.set(owner, (owners.get(owner) ?? 0) + 1);
      }
      return consumers.length === 200;
    });
    await dataSource.query(`
      CREATE TABLE written (n bigserial, "table" text, owner text);
      CREATE FUNCTION note_written() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO public.written ("table", owner)
          VALUES (TG_TABLE_NAME, coalesce(to_jsonb(NEW), to_jsonb(OLD)) ->> 'owner');
          RETURN NULL;
        END $$`);
    const tables: { name: string }[] = await dataSource.query(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'`,
      [store.schema],
    );
    for (const { name } of tables) {
      await dataSource.query(`
        CREATE TRIGGER note_written AFTER INSERT OR UPDATE OR DELETE ON "${store.schema}"."${name}"
        FOR EACH ROW EXECUTE FUNCTION note_written()`);
    }
    const renewals = async (): Promise<number[]> =>
      (
        await dataSource.query(
          `SELECT count(*)::integer AS n FROM written
           WHERE "table" = 'consumer_processes' GROUP BY owner`,
        )
      ).map(({ n }: { n: number }) => n);
    const sent = await sentBy(() =>
      eventually(async () => {
        await Promise.all(all.map(({ host }) => host.announce()));
        const counts = await renewals();
        return counts.length === 3 && counts.every((n) => n >= 3);
      }),
    );
    const written: { table: string; n: number }[] = await dataSource.query(
      `SELECT "table", count(*)::integer AS n FROM written GROUP BY "table"`,
    );
    expect(written).toEqual([{ table: 'consumer_processes', n: expect.any(Number) }]);
    // One that was sent before may have been written since.
    expect(written[0]!.n).toBeLessThanOrEqual(sent.filter(isRenewal).length + 3);
  });
});

/** Leaves the consumer in the state in which a killed owner leaves it. */
async function diedHolding(name: string, leaseMs: number, leaseLeftMs: number): Promise<void> {
  const { schema } = store;
  await dataSource.query(
    `INSERT INTO "${schema}".consumer_processes (owner, consumers, is_running, lease_ms, lease_expires_at)
     VALUES ('dead', ARRAY[$1], true, $2, clock_timestamp() + $3 * interval '1 ms')`,
    [name, leaseMs, leaseLeftMs],
  );
  await dataSource.query(
    `UPDATE "${schema}".checkpoints SET owner = 'dead', status = 'live' WHERE consumer = $1`,
    [name],
  );
}

/** Moves every lease, as a change of the clock of the database does. */
const moveLeases = (byMs: number): Promise<unknown> =>
  dataSource.query(
    `UPDATE "${store.schema}".consumer_processes
     SET lease_expires_at = lease_expires_at + $1 * interval '1 ms'`,
    [byMs],
  );

const fence = async (): Promise<string> =>
  (await dataSource.query(`SELECT fence FROM "${store.schema}".checkpoints`))[0].fence;

const tenMinutesMs = 600_000;

describe('a clock of the database that is set back ten minutes', () => {
  it('lets the lease of a dead owner last at most one more lease period', async () => {
    const counter = [consumer('counter', async () => undefined)];
    const first = await start(counter, { leaseMs: 500 });
    await first.stop();
    await diedHolding('counter', 500, tenMinutesMs);
    expect((await first.control.list()).consumers[0]!.status).toBe('waiting');
    const { control } = await start(counter, { leaseMs: 500 });
    const { position } = await append(1);
    await control.waitFor('counter', position);
  });

  it('takes nothing from an owner that is alive', async () => {
    const counter = [consumer('counter', async () => undefined)];
    const all = await Promise.all([1, 2].map(() => start(counter, { leaseMs: 60_000 })));
    await all[0]!.control.waitFor('counter', (await append(1)).position);
    const before = await fence();
    for (let n = 0; n < 5; n += 1) {
      await moveLeases(tenMinutesMs);
      // Until each process has checked.
      await eventually(async () => {
        await Promise.all(all.map(({ host }) => host.announce()));
        const ahead = await dataSource.query(
          `SELECT FROM "${store.schema}".consumer_processes
           WHERE lease_expires_at > clock_timestamp() + interval '2 minutes'`,
        );
        return ahead.length === 0;
      });
    }
    expect(await fence()).toBe(before);
  });
});

describe('a lease that ends early, as the clock of the database was set forward', () => {
  const gates = new Gates();
  const counting = () =>
    consumer('counter', async (records, _, manager) => {
      await gates.pass('batch');
      await manager!.query(
        `INSERT INTO "${store.schema}".counted SELECT * FROM unnest($1::bigint[])`,
        [records.map(({ position }) => position)],
      );
    });
  const counted = (): Promise<{ position: number }[]> =>
    dataSource.query(`SELECT position::float8 FROM "${store.schema}".counted ORDER BY position`);
  const endLeases = () => moveLeases(-tenMinutesMs);

  beforeEach(() => dataSource.query(`CREATE TABLE "${store.schema}".counted (position bigint)`));

  it('lets its owner commit its current batch if no other process has taken over', async () => {
    const { control } = await start([counting()], { leaseMs: 60_000 });
    gates.close('batch');
    const { position } = await append(1, 2);
    await gates.arrived('batch');
    await endLeases();
    gates.open('batch');
    await control.waitFor('counter', position);
    expect(await counted()).toEqual([{ position: 1 }, { position: 2 }]);
  });

  it('lets another process take over, and its owner commits nothing and stops', async () => {
    const { host } = await start([counting()], { leaseMs: 60_000 });
    gates.close('batch');
    const { position } = await append(1, 2);
    await gates.arrived('batch');
    await endLeases();
    const other = await start([counting()], { leaseMs: 60_000 });
    const { owner } = (await other.control.list()).consumers[0]!.partitions[0]!;
    await host.announce();
    gates.open('batch');
    await other.control.waitFor('counter', position);
    await other.control.waitFor('counter', (await append(3)).position);
    expect(await counted()).toEqual([{ position: 1 }, { position: 2 }, { position: 3 }]);
    expect((await other.control.list()).consumers[0]!.partitions[0]!.owner).toBe(owner);
  });
});

describe('a checkpoint', () => {
  it('is saved by its current owner only', async () => {
    const counter = consumer('counter', async () => undefined);
    const { checkpoints, generations, registry } = postgresConsumers(dataSource, {
      schema: store.schema,
      preparedStatements: true,
      listen: false,
    });
    await registry.register([counter]);
    const hold = async (): Promise<HeldCheckpoint> =>
      (await checkpoints.hold('one', ['counter'], 60_000)).at(-1)!;
    const save = (held: HeldCheckpoint): Promise<void> =>
      checkpoints.save(held, { position: 0, mark: null, status: 'live', eventsPerSecond: 0 });

    const first = await hold();
    await save(first);
    await checkpoints.release('one', [first]);
    await expect(save(first)).rejects.toThrow(LeaseLostError);
    const second = await hold();
    await expect(save(first)).rejects.toThrow(LeaseLostError);
    await save(second);
    await registry.reset('counter', 0);
    await expect(save(second)).rejects.toThrow(LeaseLostError);
    const third = await hold();
    await expect(save(second)).rejects.toThrow(LeaseLostError);

    await registry.rebuild(counter, {});
    const next = await hold();
    expect(next.generation).toBe(2);
    const replace = () => generations.replace(next, counter, async () => true);
    expect(await replace()).toBe(false);
    await checkpoints.release('one', [third]);
    expect(await replace()).toBe(true);
    await expect(save(next)).rejects.toThrow(LeaseLostError);
    await save(await hold());
    await checkpoints.release('one');
  });
});

describe('checkpoints that are taken', () => {
  it('are neither those that have stopped nor those that are just being committed', async () => {
    // A wait for a lock fails.
    const impatient = await database.dataSource({ extra: { options: '-c lock_timeout=2000' } });
    const { checkpoints, registry } = postgresConsumers(impatient, {
      schema: store.schema,
      preparedStatements: true,
      listen: false,
    });
    await registry.register([consumer('counter', async () => undefined, { partitions: 2 })]);
    const heldBy = async (owner: string) =>
      (await checkpoints.hold(owner, ['counter'], 60_000)).map(({ partition }) => partition);
    const [stopped, free] = await checkpoints.hold('one', ['counter'], 60_000);
    await checkpoints.fail(stopped!, 'stopped', {
      error: new Error('stopped'),
      position: null,
      failures: 1,
    });
    await checkpoints.release('one', [free!]);
    await dataSource.transaction(async (manager) => {
      await manager.query(
        `SELECT FROM "${store.schema}".checkpoints WHERE partition = 1 FOR UPDATE`,
      );
      expect(await heldBy('two')).toEqual([]);
    });
    expect(await heldBy('two')).toEqual([1]);
    await checkpoints.release('two');
  });
});

describe('a process', () => {
  it('that is dead keeps no row', async () => {
    const counter = [consumer('counter', async () => undefined)];
    await (await start(counter, { leaseMs: 300 })).stop();
    await diedHolding('counter', 100, 0);
    await start(counter, { leaseMs: 300 });
    await eventually(async () => {
      const owners = await dataSource.query(
        `SELECT owner FROM "${store.schema}".consumer_processes WHERE owner = 'dead'`,
      );
      return owners.length === 0;
    });
  });
});
