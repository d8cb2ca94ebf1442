import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import { DomainEvent } from '../../lib/events/domain-event.decorator.ts';
import type { EventRecord } from '../../lib/events/event-record.ts';
import type { GenerationScope } from '../../lib/subscriptions/consumer.ts';
import type { Delivery } from '../../lib/subscriptions/delivery/delivery.ts';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { untilInlineInUse } from '../../lib/module/until-inline-in-use.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';

let roles: TestRoles;
let owner: DataSource;
/** With the rights of an application, and a schema of its own for what projections build. */
let dataSource: DataSource;
let store: TestStore;
let schemas = 0;
let processes: TestProcess[] = [];

beforeAll(async () => {
  roles = await createTestRoles();
  owner = await roles.dataSource('owner');
  dataSource = await roles.dataSource('application', { max: 30 });
});

beforeEach(async () => {
  const schema = `inline_${++schemas}`;
  await roles.install(schema);
  await owner.query(`CREATE SCHEMA ${modelsOf(schema)}`);
  await owner.query(`GRANT ALL ON SCHEMA ${modelsOf(schema)} TO ${roles.names.application}`);
  store = await openStore(dataSource, { schema });
});

afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});

afterAll(() => roles.drop());

const modelsOf = (schema: string): string => `${schema}_models`;

@DomainEvent('counter.unrelated')
class Unrelated {}

const counter = (id: string) => ({ type: 'counter', id });

/** Whether the connection of an append was ended in the middle of the projection. */
let killed = false;

/** Every number may be counted once: a table of them with a UNIQUE constraint. */
const uniqueNumbers = (schema: string) =>
  consumer(
    'numbers',
    async (
      records: readonly EventRecord[],
      { generation }: Delivery,
      manager: EntityManager | undefined,
    ) => {
      for (const { event, position } of records) {
        const { by } = event as Counted;
        if (by === 99 && !killed) {
          killed = true;
          await manager!.query('SELECT pg_terminate_backend(pg_backend_pid())');
        }
        if (by === 13) await manager!.query('SELECT 1 / 0').catch(() => 'swallowed');
        else {
          await manager!.query(
            `INSERT INTO ${modelsOf(schema)}.numbers_${generation} VALUES ($1, $2)`,
            [by, position],
          );
        }
      }
    },
    {
      kind: 'inline-projection',
      hooks: {
        prepare: async ({ generation, manager }: GenerationScope) => {
          await manager.query(
            `CREATE TABLE ${modelsOf(schema)}.numbers_${generation} (number integer UNIQUE, position bigint)`,
          );
        },
        activate: async ({ generation, manager }: GenerationScope) => {
          await manager.query(
            `CREATE OR REPLACE VIEW ${modelsOf(schema)}.numbers AS SELECT * FROM ${modelsOf(schema)}.numbers_${generation}`,
          );
        },
        discard: async ({ generation, manager }: GenerationScope) => {
          await manager.query(`DROP TABLE ${modelsOf(schema)}.numbers_${generation}`);
        },
      },
    },
  );

const start = async (): Promise<TestProcess> => {
  const numbers = uniqueNumbers(store.schema);
  store.applyInline([numbers]);
  const started = await startConsumers(dataSource, store, [numbers]);
  processes.push(started);
  await untilInlineInUse(['numbers'], started);
  return started;
};

const numbers = async (): Promise<number[]> =>
  (
    await dataSource.query(`SELECT number FROM ${modelsOf(store.schema)}.numbers ORDER BY position`)
  ).map((row: { number: number }) => row.number);

const storedNumbers = async (): Promise<number[]> =>
  (await store.fetch(0, { limit: 10_000 })).records.map(({ event }) => (event as Counted).by);

describe('an inline projection', () => {
  it('commits with the event, or neither does', async () => {
    await store.append(counter('early'), [new Counted(1)]);
    await start();
    await store.append(counter('a'), [new Counted(2), new Counted(3)]);
    expect(await numbers()).toEqual([1, 2, 3]);
    const refused = store.append(counter('b'), [new Counted(4), new Counted(3)]);
    await expect(refused).rejects.toMatchObject({ code: '23505' });
    expect(await numbers()).toEqual([1, 2, 3]);
    expect(await store.currentVersion(counter('b'))).toBe(0);
  });

  it('stores neither when it hides an error of SQL', async () => {
    await start();
    await expect(store.append(counter('a'), [new Counted(13)])).rejects.toMatchObject({
      code: 'STATEMENT_FAILED',
      sqlState: '25P02',
    });
    expect(await storedNumbers()).toEqual([]);
  });

  it('joins the transaction of a caller, which may catch its error and continue', async () => {
    await start();
    await store.append(counter('a'), [new Counted(1)]);
    await dataSource.transaction(async (manager) => {
      await store.append(counter('a'), [new Counted(2)], { manager });
      const refused = store.append(counter('b'), [new Counted(1)], { manager });
      await expect(refused).rejects.toMatchObject({ code: '23505' });
      await store.append(counter('b'), [new Counted(3)], { manager });
    });
    const undone = dataSource.transaction(async (manager) => {
      await store.append(counter('c'), [new Counted(4)], { manager });
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(await numbers()).toEqual([1, 2, 3]);
    expect(await storedNumbers()).toEqual([1, 2, 3]);
  });

  it('refuses an append even by throwing an unreadable value, and holds up no other', async () => {
    const { proxy: unreadable, revoke } = Proxy.revocable(new Error('secret'), {});
    revoke();
    const picky = consumer(
      'picky',
      async ([record]) => {
        if ((record!.event as Counted).by === 13) throw unreadable;
      },
      { kind: 'inline-projection' },
    );
    store.applyInline([picky]);
    const started = await startConsumers(dataSource, store, [picky]);
    processes.push(started);
    await untilInlineInUse(['picky'], started);
    const refused = store.append(counter('a'), [new Counted(13)]);
    await expect(refused).rejects.toThrow('a value that cannot be read');
    await dataSource.transaction(async (manager) => {
      const inner = store.append(counter('a'), [new Counted(13)], { manager });
      await expect(inner).rejects.toThrow('a value that cannot be read');
      await store.append(counter('a'), [new Counted(1)], { manager });
    });
    await store.append(counter('a'), [new Counted(2)]);
    expect(await storedNumbers()).toEqual([1, 2]);
  });

  it('keeps the later appends to an aggregate waiting no longer than another transaction', async () => {
    const impatient = await openStore(dataSource, { schema: store.schema, lockTimeoutMs: 200 });
    let hasBegun = false;
    let finish!: () => void;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const slow = consumer('slow', () => ((hasBegun = true), finished), {
      kind: 'inline-projection',
    });
    impatient.applyInline([slow]);
    const started = await startConsumers(dataSource, store, [slow]);
    processes.push(started);
    await untilInlineInUse(['slow'], started);
    const first = impatient.append(counter('a'), [new Counted(1)]);
    await eventually(() => hasBegun);
    const second = impatient.append(counter('a'), [new Counted(2)]);
    await expect(second).rejects.toMatchObject({ code: 'AGGREGATE_LOCKED', waitedMs: 200 });
    finish();
    expect(await first).toMatchObject({ version: 1 });
  });

  it('is applied again when the connection was lost in the middle', async () => {
    await start();
    killed = false;
    expect(await store.append(counter('a'), [new Counted(99)])).toMatchObject({
      version: 1,
      duplicate: false,
    });
    expect(await numbers()).toEqual([99]);
    killed = false;
    const inCallers = dataSource.transaction((manager) =>
      store.append(counter('b'), [new Counted(1), new Counted(99)], { manager }),
    );
    await expect(inCallers).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(await storedNumbers()).toEqual([99]);
  });

  it('keeps side-by-side appends of one transaction apart', async () => {
    await start();
    await store.append(counter('a'), [new Counted(1)]);
    await dataSource.transaction(async (manager) => {
      const settled = await Promise.allSettled(
        [2, 1, 3].map((by) => store.append(counter(`n${by}`), [new Counted(by)], { manager })),
      );
      expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    });
    expect(await numbers()).toEqual([1, 2, 3]);
    expect(await storedNumbers()).toEqual([1, 2, 3]);
  });

  it('refuses a caller whose snapshot is older than its generation', async () => {
    const { control } = await start();
    const late = dataSource.transaction('REPEATABLE READ', async (manager) => {
      await manager.query('SELECT count(*) FROM pg_class');
      await control.rebuild('numbers');
      await eventually(async () => (await control.list()).consumers[0]!.generation === 2);
      await store.append(counter('a'), [new Counted(1)], { manager });
    });
    await expect(late).rejects.toMatchObject({ code: 'TRANSACTION_CONFLICT' });
    await dataSource.transaction('REPEATABLE READ', async (manager) => {
      await store.append(counter('a'), [new Counted(2)], { manager });
    });
    expect(await numbers()).toEqual([2]);
    expect(await storedNumbers()).toEqual([2]);
  });

  it('cannot be paused before it is in use, because no application with it could start', async () => {
    await store.append(counter('early'), [new Counted(1)]);
    const projection = uniqueNumbers(store.schema);
    const { schema } = store;
    const options = { schema, preparedStatements: true, listen: false };
    const { registry } = postgresConsumers(dataSource, options);
    await registry.register([projection]);
    await expect(registry.pause('numbers')).rejects.toThrow(
      "The consumer 'numbers' is being built for the first time",
    );
    await expect(registry.cancelRebuild(projection)).rejects.toThrow(
      'there is no generation to go back to. Stop the applications that have it instead.',
    );
    await start();
    expect(await numbers()).toEqual([1]);
    await registry.pause('numbers');
  });

  it('is not replaced during an open append, because all other appends would have to wait', async () => {
    const { control } = await start();
    const inUse = async () => (await control.list()).consumers[0]!;
    const exclusiveLocks = async (): Promise<number> => {
      const [{ count }] = await dataSource.query(
        `SELECT count(*)::int FROM pg_locks AS l
         JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
         WHERE l.locktype = 'advisory' AND l.mode = 'ExclusiveLock'`,
      );
      return count;
    };
    const others = await openStore(dataSource, { schema: store.schema, events: [Unrelated] });
    const seen = new Set<number>();
    await dataSource.transaction(async (manager) => {
      // An event that is not of the projection: only the horizon is held back.
      await others.append(counter('open'), [new Unrelated()], { manager });
      await store.append(counter('a'), [new Counted(1)]);
      await control.rebuild('numbers');
      await eventually(async () =>
        (await inUse()).partitions.some(({ status }) => status === 'live'),
      );
      // As long as the tries of the exchange take, with the pauses between them.
      const until = performance.now() + 1_000;
      while (performance.now() < until) {
        seen.add(await exclusiveLocks());
        await delay(10);
      }
    });
    expect([...seen]).toEqual([0]);
    await eventually(async () => (await inUse()).generation === 2);
    expect(await numbers()).toEqual([1]);
  });

  it('refuses all but one of many appends that claim the same number', async () => {
    await start();
    const appends = Array.from({ length: 20 }, (_, n) =>
      store.append(counter(`n${n}`), [new Counted(7)]),
    );
    const settled = await Promise.allSettled(appends);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await storedNumbers()).toEqual([7]);
  });

  it('loses nothing when it is rebuilt while others append', async () => {
    const { control } = await start();
    let number = 0;
    let writing = true;
    const write = async (id: number): Promise<void> => {
      while (writing) {
        const by = 100 + ++number;
        if (id % 2 === 0) await store.append(counter(`w${id}`), [new Counted(by)]);
        else {
          await dataSource.transaction(async (manager) => {
            await store.append(counter(`w${id}`), [new Counted(by)], { manager });
          });
        }
      }
    };
    const writers = Promise.all([1, 2, 3, 4].map(write));
    await eventually(() => number > 50);
    for (const generation of [2, 3]) {
      await control.rebuild('numbers');
      await eventually(async () => (await control.list()).consumers[0]!.generation === generation);
    }
    writing = false;
    await writers;
    expect((await numbers()).toSorted((a, b) => a - b)).toEqual(
      (await storedNumbers()).toSorted((a, b) => a - b),
    );
  });
});
