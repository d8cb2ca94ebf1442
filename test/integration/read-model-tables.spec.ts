import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { Consumer, GenerationHooks } from '../../lib/subscriptions/consumer.ts';
import type { ConsumerState } from '../../lib/subscriptions/consumer-state.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';

let roles: TestRoles;
/** With the rights of an application, which makes its read models itself. */
let dataSource: DataSource;
let store: TestStore;
let schemas = 0;
let processes: TestProcess[] = [];

beforeAll(async () => {
  roles = await createTestRoles();
  dataSource = await roles.dataSource('application', { max: 20 });
});
beforeEach(async () => {
  const schema = `tables_${++schemas}`;
  await roles.install(schema);
  const superuser = await roles.database.dataSource();
  await superuser.query(`GRANT CREATE ON SCHEMA ${schema} TO ${roles.names.application}`);
  await superuser.destroy();
  store = await openStore(dataSource, { schema });
});
afterEach(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  processes = [];
});
afterAll(() => roles.drop());

const start = async (consumers: readonly Consumer[]): Promise<TestProcess> => {
  const started = await startConsumers(dataSource, store, consumers, { leaseMs: 600 });
  processes.push(started);
  return started;
};

const append = async (...by: number[]): Promise<number> => {
  const events = by.map((each) => new Counted(each));
  return (await store.append({ type: 'counter', id: 'a' }, events)).position;
};

const query = (sql: string) => dataSource.query(sql.replaceAll('$s', `"${store.schema}"`));

/** Hooks as in README.md: they fail if a table that they drop does not exist. */
const hooks: GenerationHooks = {
  prepare: async ({ generation, manager }) => {
    await manager.query(`CREATE TABLE "${store.schema}".sum_${generation} (by integer)`);
  },
  activate: async ({ generation, manager }) => {
    await manager.query(`DROP VIEW IF EXISTS "${store.schema}".sum`);
    await manager.query(
      `CREATE VIEW "${store.schema}".sum AS SELECT by FROM "${store.schema}".sum_${generation}`,
    );
  },
  discard: async ({ generation, manager }) => {
    await manager.query(`DROP TABLE "${store.schema}".sum_${generation}`);
  },
};

const summing = (own: GenerationHooks = hooks) =>
  consumer(
    'sum',
    async (records, { generation }, manager) => {
      await manager!.query(
        `INSERT INTO "${store.schema}".sum_${generation} SELECT * FROM unnest($1::integer[])`,
        [records.map(({ event }) => (event as Counted).by)],
      );
    },
    { hooks: own },
  );

const sum = async (): Promise<number> =>
  (await query('SELECT coalesce(sum(by), 0)::integer AS sum FROM $s.sum'))[0].sum;

const state = async ({ control }: TestProcess): Promise<ConsumerState> =>
  (await control.list()).consumers[0]!;

const recorded = async (): Promise<string[]> =>
  (await query('SELECT table_name FROM $s.read_model_tables ORDER BY table_name')).map(
    (row: { table_name: string }) => row.table_name,
  );

async function expectLost(process: TestProcess): Promise<void> {
  await eventually(async () => (await state(process)).status === 'stopped');
  expect((await state(process)).partitions[0]!.error!.message).toMatch(
    `ReadModelLostError: The table ${store.schema}.sum_1, which a hook of the consumer 'sum' made ` +
      'for its generation 1, was dropped, or was lost in a restore.',
  );
}

describe('a table of a read model', () => {
  let first: TestProcess;

  beforeEach(async () => {
    first = await start([summing()]);
    await first.control.waitFor('sum', await append(1, 2));
  });

  it('that was dropped is noticed at the next start, and built again by a rebuild', async () => {
    await first.stop();
    await query('DROP TABLE $s.sum_1 CASCADE');
    const process = await start([summing()]);
    await expectLost(process);
    await append(3);
    await process.control.rebuild('sum');
    await eventually(async () => (await state(process)).generation === 2);
    await process.control.waitFor('sum', await append(4));
    expect(await sum()).toBe(10);
    expect(await recorded()).toEqual(['sum_2']);
  });

  it('that was dropped is noticed by a process that runs, before the next event', async () => {
    await query('DROP TABLE $s.sum_1 CASCADE');
    await expectLost(first);
  });

  it('that was created again, empty, does not replace the one that is lost', async () => {
    await query('DROP TABLE $s.sum_1 CASCADE; CREATE TABLE $s.sum_1 (by integer)');
    await expectLost(first);
    await first.control.resume('sum');
    await expectLost(first);
    await first.control.reset('sum', 0);
    await first.control.waitFor('sum', await append(3));
    expect(await query('SELECT sum(by)::integer FROM $s.sum_1')).toEqual([{ sum: 6 }]);
  });

  it('that got another name, or was altered, is no loss', async () => {
    await query(`
      ALTER TABLE $s.sum_1 RENAME TO other;
      CREATE VIEW $s.sum_1 AS SELECT * FROM $s.other;
      ALTER TABLE $s.other ADD COLUMN note text`);
    await first.stop();
    const process = await start([summing()]);
    await process.control.waitFor('sum', await append(3));
    expect(await sum()).toBe(6);
    expect(await recorded()).toEqual(['other']);
  });

  it('of a cancelled rebuild is no loss, nor is one of a replaced generation', async () => {
    await first.control.rebuild('sum', { eventsPerSecond: 1 });
    await eventually(async () => (await recorded()).length === 2);
    await first.control.cancelRebuild('sum');
    expect(await recorded()).toEqual(['sum_1']);
    await first.control.rebuild('sum');
    await eventually(async () => (await state(first)).rebuild === null);
    expect(await recorded()).toHaveLength(1);
    await first.control.waitFor('sum', await append(3));
    expect(await sum()).toBe(6);
  });

  it('that a dump has restored is recognized by its name, and then watched again', async () => {
    await first.stop();
    // What a restore does: the rows are written again, and every object has another id.
    await query('UPDATE $s.read_model_tables SET table_oid = 1');
    const second = await start([summing()]);
    await second.control.waitFor('sum', await append(3));
    await second.stop();
    expect(
      await query(
        'SELECT table_oid = $s.sum_1::regclass AS same FROM $s.read_model_tables'.replace(
          '$s.sum_1',
          `'$s.sum_1'`,
        ),
      ),
    ).toEqual([{ same: true }]);
    await query('DROP TABLE $s.sum_1 CASCADE; CREATE TABLE $s.sum_1 (by integer)');
    await expectLost(await start([summing()]));
  });

  it('that a partial restore has left out is noticed', async () => {
    await first.stop();
    await query('UPDATE $s.read_model_tables SET table_oid = 1; DROP TABLE $s.sum_1 CASCADE');
    await expectLost(await start([summing()]));
  });
});

describe('the tables of a read model', () => {
  it('are those that its own hooks make, for as long as they do not remove them', async () => {
    await query('CREATE TABLE $s.old (by integer)');
    const process = await start([
      summing({
        prepare: async ({ manager }) => {
          await query('CREATE TABLE $s.foreign (by integer)');
          await manager.query('CREATE TEMPORARY TABLE scratch (by integer)');
          await manager.query(`ALTER TABLE "${store.schema}".old ADD COLUMN note text`);
          await manager.query(`CREATE TABLE "${store.schema}".draft AS SELECT 1 AS by`);
          await manager.query(
            `CREATE TABLE "${store.schema}".parts (by integer) PARTITION BY RANGE (by)`,
          );
          await manager.query(
            `CREATE TABLE "${store.schema}".part PARTITION OF "${store.schema}".parts DEFAULT`,
          );
          await manager.transaction(async (inner) => {
            await inner.query(`CREATE TABLE "${store.schema}".sum_1 (by integer)`);
          });
        },
        activate: async ({ manager }) => {
          await manager.query(`DROP TABLE "${store.schema}".draft`);
        },
      }),
    ]);
    expect(await recorded()).toEqual(['parts', 'sum_1']);
    await query('DROP TABLE $s.part');
    await process.control.waitFor('sum', await append(1));
  });

  it('are forgotten with their consumer', async () => {
    const { control, stop } = await start([summing()]);
    await stop();
    await control.forget('sum');
    expect(await recorded()).toEqual([]);
  });
});
