import { describeOpenAppend } from '../../lib/store/reading/log-horizon.ts';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import {
  AccessDeniedError,
  AggregateLockedError,
  grantsSql,
  type GrantsSqlOptions,
  EventStoreModule,
} from 'nest-event-store';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { lockNamespace } from '../../lib/postgres/schema/schema-name.ts';
import { startApplication } from '../module/start-application.ts';
import { queryOnce } from '../../dev/postgres/query-once.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';

const schema = 'event_store';

let roles: TestRoles;
let owner: DataSource;
let application: DataSource;
let reader: DataSource;
let store: TestStore;

const kept = { type: 'counter', id: 'kept' };

beforeAll(async () => {
  roles = await createTestRoles();
  [owner, application, reader] = await Promise.all([
    roles.dataSource('owner'),
    roles.dataSource('application'),
    roles.dataSource('reader'),
  ]);
  await roles.install(schema);
  store = await openStore(application, { allowRemoval: true });
  await store.append(kept, [new Counted(1), new Counted(2)]);
});
afterAll(() => roles.drop());

const refusal = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );
const grants = (options: Partial<GrantsSqlOptions> = {}): string =>
  grantsSql({ application: roles.names.application, ...options });

const changes = [
  `INSERT INTO ${schema}.domain_events SELECT * FROM ${schema}.domain_events`,
  `UPDATE ${schema}.domain_events SET metadata = '{}'`,
  `DELETE FROM ${schema}.domain_events`,
  `TRUNCATE ${schema}.domain_events`,
  `INSERT INTO ${schema}.aggregates (type, id, version) VALUES ('counter', 'forged', 1)`,
  `UPDATE ${schema}.aggregates SET version = 7`,
  `UPDATE ${schema}.aggregates SET removed_version = version`,
  `DELETE FROM ${schema}.aggregates`,
  `TRUNCATE ${schema}.aggregates CASCADE`,
  `SELECT nextval('${schema}.positions')`,
  `SELECT setval('${schema}.positions', 1)`,
  `SELECT nextval('${schema}.aggregates_key_seq')`,
  `SELECT ${schema}.remove_events('counter', 'kept')`,
  `TRUNCATE ${schema}.checkpoints`,
  `DELETE FROM ${schema}.consumers`,
  `DELETE FROM ${schema}.skipped_events`,
  `UPDATE ${schema}.skipped_events SET skipped_by = 'nobody'`,
  `CREATE TABLE ${schema}.other ()`,
  `CREATE FUNCTION ${schema}.other() RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
  `CREATE TRIGGER other BEFORE INSERT ON ${schema}.domain_events
    FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse_change()`,
  `ALTER TABLE ${schema}.domain_events DISABLE TRIGGER USER`,
  `DROP FUNCTION ${schema}.refuse_change CASCADE`,
  `DROP SCHEMA ${schema} CASCADE`,
];

describe('the application', () => {
  it.each(changes)('is refused %s', async (sql) => {
    expect(await refusal(application.query(sql))).toMatchObject({ code: '42501' });
  });

  it('removes events only while that is granted', async () => {
    const erased = { type: 'counter', id: 'erased' };
    await store.append(erased, [new Counted(1)]);
    expect(await refusal(store.removeEvents(erased))).toBeInstanceOf(AccessDeniedError);
    await owner.query(grants({ allowRemoval: true }));
    expect(await store.removeEvents(erased)).toBe(1);
    await owner.query(grants());
    expect(await refusal(store.removeEvents(kept))).toBeInstanceOf(AccessDeniedError);
  });

  it('keeps no right that was granted to it or to PUBLIC before', async () => {
    await owner.query(`
      GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${roles.names.application};
      GRANT EXECUTE ON FUNCTION ${schema}.remove_events TO PUBLIC`);
    await owner.query(grants());
    const sql = `DELETE FROM ${schema}.aggregates`;
    expect(await refusal(application.query(sql))).toMatchObject({ code: '42501' });
    expect(await refusal(store.removeEvents(kept))).toBeInstanceOf(AccessDeniedError);
  });

  it('alone may call the functions that have the rights of the owner', async () => {
    const all = `SELECT oid::regprocedure::text AS name, proacl::text AS rights FROM pg_proc
      WHERE pronamespace = '${schema}'::regnamespace AND prosecdef`;
    const before: { name: string; rights: string }[] = await owner.query(all);
    expect(before.length).toBeGreaterThan(2);
    for (const { name } of before) await owner.query(`GRANT EXECUTE ON FUNCTION ${name} TO PUBLIC`);
    await owner.query(grants());
    const after: typeof before = await owner.query(all);
    for (const { rights } of after) expect(rights).not.toMatch(/[{,]=/);
  });

  it('lends the rights of the owner to no function of its own', async () => {
    await queryOnce(
      roles.database.url,
      `CREATE SCHEMA disguise AUTHORIZATION ${roles.names.application}`,
    );
    await application.query(`
      CREATE FUNCTION disguise.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql
      AS $$ BEGIN RAISE 'called as %', current_user; END $$;
      GRANT USAGE ON SCHEMA disguise TO PUBLIC`);
    await application.transaction(async (manager) => {
      await manager.query('SET LOCAL search_path = disguise, pg_catalog');
      await expect(manager.query('SAVEPOINT s; SELECT clock_timestamp()')).rejects.toThrow(
        'called',
      );
      await manager.query('ROLLBACK TO s');
      await store.append(kept, [new Counted(3)], { manager });
      await store.appendAll([{ aggregate: kept, events: [new Counted(4)] }], { manager });
    });
  });
});

describe('the reader', () => {
  let log: TestStore;

  beforeAll(async () => {
    log = await openStore(reader);
  });

  it.each([
    ...changes,
    `UPDATE ${schema}.aggregates SET snapshot_version = NULL`,
    `SELECT ${schema}.append_event('counter', 'kept', -1, gen_random_uuid(), 'counter.counted', 1,
      '{}', NULL, '{}', NULL)`,
    `SELECT ${schema}.register_consumer('mine', 'projection', 1, true)`,
    `UPDATE ${schema}.checkpoints SET position = 0`,
    `DELETE FROM ${schema}.parked_events`,
    `SELECT ${schema}.forget_consumer('all', NULL, NULL)`,
  ])('is refused %s', async (sql) => {
    expect(await refusal(reader.query(sql))).toMatchObject({ code: '42501' });
  });

  it('reads the log, single aggregates, and the status of consumers', async () => {
    const process = await startConsumers(application, store, [consumer('all', async () => {})]);
    const { records } = await log.fetch();
    expect(records).toEqual((await store.fetch()).records);
    expect(await log.currentVersion(kept)).toBe(await store.currentVersion(kept));
    expect(await log.horizon()).toMatchObject({ position: records.at(-1)!.position });
    await process.control.waitFor('all', records.at(-1)!.position);
    const watching = await startConsumers(reader, log, []);
    expect((await watching.control.list()).consumers).toMatchObject([
      { name: 'all', lagEvents: 0 },
    ]);
    await Promise.all([process.stop(), watching.stop()]);
  });

  it('may call no function that changes events, even before the grants are run', async () => {
    await new Migrator(owner, 'by_hand').run();
    await owner.query(`GRANT USAGE ON SCHEMA by_hand TO ${roles.names.reader}`);
    const removal = reader.query(`SELECT by_hand.remove_events('counter', 'kept')`);
    expect(await refusal(removal)).toMatchObject({ code: '42501' });
  });

  it('gets an error that says that it may not append', async () => {
    const error = await refusal(log.append(kept, [new Counted(5)]));
    expect(error).toBeInstanceOf(AccessDeniedError);
    expect(error).toMatchObject({ role: roles.names.reader, outcome: 'not-applied' });
  });
});

describe('a role that may do nothing but connect', () => {
  const [name, password] = [`connects_${process.pid}`, 'secret'];
  let session: DataSource;
  const lock = async (kind: string, after: number): Promise<void> => {
    await session.query(`SELECT ${kind}($1, $2)`, [lockNamespace(schema), after]);
  };

  beforeAll(async () => {
    await queryOnce(roles.database.url, `CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
    const url = Object.assign(new URL(roles.database.url), { username: name, password });
    session = await new DataSource({
      type: 'postgres',
      url: url.href,
      applicationName: '',
      poolSize: 1,
      installExtensions: false,
    }).initialize();
  });
  afterEach(() => session.query('SELECT pg_advisory_unlock_all()'));
  afterAll(async () => {
    await session.destroy();
    await queryOnce(roles.database.url, `DROP ROLE ${name}`);
  });

  it('holds back readers by a lock of the store, and is named with it', async () => {
    const { position } = await store.append(kept, [new Counted(1)]);
    await lock('pg_advisory_lock_shared', position - 1);
    expect((await store.fetch(position - 1)).records).toEqual([]);
    const { openAppends } = await store.horizon();
    const held = { classid: lockNamespace(schema) >>> 0, objid: position - 1 };
    expect(openAppends).toMatchObject([{ role: name, lock: held, position: position - 1 }]);
    expect(describeOpenAppend(openAppends[0]!)).toMatch(
      `role '${name}', application '', by advisory lock (${held.classid}, ${held.objid})`,
    );
  });

  it('makes an append fail by such a lock after lockTimeoutMs; the error names the lock', async () => {
    const store = await openStore(application, { lockTimeoutMs: 300 });
    const { position } = await store.append(kept, [new Counted(1)]);
    await lock('pg_advisory_lock', position);
    const error = await refusal(store.append(kept, [new Counted(2)]));
    expect(error).toBeInstanceOf(AggregateLockedError);
    expect(error).toMatchObject({
      retryable: true,
      message: expect.stringContaining(
        `the advisory lock with classid ${lockNamespace(schema) >>> 0} and objid ${position}`,
      ),
    });
    await session.query('SELECT pg_advisory_unlock_all()');
    expect(await store.append(kept, [new Counted(2)])).toMatchObject({ duplicate: false });
  });
});

describe('a role that may not migrate', () => {
  it("is refused at boot with migrations: 'run'", async () => {
    const starting = startApplication(await roles.dataSource('reader'), {
      imports: [EventStoreModule.forRoot({ schema: 'made_by_nobody', migrations: 'run' })],
    });
    expect(await refusal(starting)).toMatchObject({
      code: 'EVENT_STORE_CONFIGURATION',
      problems: [
        expect.stringMatching(
          /^The schema "made_by_nobody" cannot be migrated by this role: permission denied for database .*eventStoreMigrations\(\)\.$/,
        ),
      ],
    });
  });
});

describe('a role without the grants', () => {
  it.each(['check', 'off'] as const)(
    'is refused at boot with migrations: %p',
    async (migrations) => {
      await new Migrator(owner, `hidden_${migrations}`).run();
      const starting = startApplication(await roles.dataSource('reader'), {
        imports: [EventStoreModule.forRoot({ schema: `hidden_${migrations}`, migrations })],
      });
      expect(await refusal(starting)).toMatchObject({
        code: 'EVENT_STORE_CONFIGURATION',
        problems: [
          expect.stringMatching(
            `^This role may not read the schema "hidden_${migrations}": permission denied .*grantsSql`,
          ),
        ],
      });
    },
  );
});

describe('the owner', () => {
  it.each([
    `UPDATE ${schema}.domain_events SET metadata = '{}'`,
    `DELETE FROM ${schema}.domain_events`,
    `TRUNCATE ${schema}.domain_events`,
  ])('is refused %s, by the triggers', async (sql) => {
    expect(await refusal(owner.query(sql))).toMatchObject({ code: '23001' });
  });

  it('cannot be the application, nor can a superuser', async () => {
    const superuser = String(await queryOnce(roles.database.url, 'SELECT current_user'));
    for (const role of [roles.names.owner, superuser]) {
      expect(await refusal(owner.query(grants({ application: role })))).toMatchObject({
        code: '0LP01',
        message: expect.stringContaining(`The role "${role}" is the owner of "${schema}"`),
      });
    }
    await store.append(kept, [new Counted(6)]);
  });
});

it.each<[object, string]>([
  [{}, "The option 'application' must name a role."],
  [{ application: '' }, "The option 'application' must be a role's name"],
  [{ application: 'a"; DROP TABLE t; --' }, "The option 'application' must be a role's name"],
  [{ application: 'public' }, "The option 'application' must be a role's name"],
  [{ application: 'ä'.repeat(32) }, "The option 'application' must be a role's name"],
  [{ application: 'a', reader: "r'" }, "The option 'reader' must be a role's name"],
  [{ application: 'a', reader: 'a' }, "'a' cannot be the application and the reader."],
  [{ application: 'a', schema: 'a"b' }, "The option 'schema' must be a lower-case name"],
  [{ application: 'a', readers: 'b' }, "There is no option 'readers'; did you mean 'reader'?"],
])('grantsSql refuses %j', (options, message) => {
  expect(() => grantsSql(options as GrantsSqlOptions)).toThrow(message);
});
