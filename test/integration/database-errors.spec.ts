import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventStoreError } from 'nest-event-store';
import { DataSource } from 'typeorm';
import type { EncodedPayload } from '../../lib/events/payload/event-codec.ts';
import { JsonCodec } from '../../lib/events/payload/json.codec.ts';
import { translateError } from '../../lib/postgres/connection/errors/translate-error.ts';
import { describeError } from '../../lib/postgres/subscriptions/describe-error.ts';
import { queryOnce } from '../../dev/postgres/query-once.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { startProxy } from '../support/tcp-proxy.ts';

interface Connecting {
  readonly url?: string;
  readonly applicationName?: string;
  /** Settings of the driver's pool, from when the store is open. */
  readonly pool?: Readonly<Record<string, unknown>>;
}

let database: TestDatabase;
let admin: DataSource;
let store: TestStore;
let ids = 0;
const opened: DataSource[] = [];
const role = `app_${randomUUID().replaceAll('-', '')}`;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = await database.dataSource();
  store = await openStore(admin);
  await admin.query(`CREATE ROLE ${role} LOGIN`);
  await admin.query(`GRANT ALL ON SCHEMA event_store TO ${role}`);
});
afterAll(async () => {
  await Promise.all(opened.map((each) => each.destroy()));
  await admin.query(`DROP OWNED BY ${role}`);
  await admin.query(`DROP ROLE ${role}`);
  await database.drop();
});

const newCounter = () => ({ type: 'counter', id: `c-${(ids += 1)}` });
const urlAsRole = (): string => database.url.replace(/\/\/[^@]*@/, `//${role}@`);

/** Opens a store whose pool has one connection. */
async function storeOn({ url = database.url, applicationName, pool }: Connecting) {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    installExtensions: false,
    applicationName,
    poolSize: 1,
  });
  opened.push(await dataSource.initialize());
  const own = await openStore(dataSource);
  const { master } = dataSource.driver as unknown as { master: { options: object } };
  Object.assign(master.options, pool);
  return Object.assign(own, { dataSource });
}

async function errorOf(work: Promise<unknown>): Promise<EventStoreError> {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(EventStoreError);
  return error as EventStoreError;
}

/** Appends until that is refused in this way. */
function refusalOf(eventStore: TestStore, code: string): Promise<EventStoreError> {
  return eventually(async () => {
    const error = await errorOf(eventStore.append(newCounter(), [new Counted(1)]));
    expect(error.code).toBe(code);
    return error;
  });
}

/** Runs the work while a transaction has appended to the aggregate and stays open. */
async function whileHeld<T>(aggregate: { type: string; id: string }, work: () => Promise<T>) {
  return admin.transaction(async (manager) => {
    await store.append(aggregate, [new Counted(1)], { manager });
    return work();
  });
}

async function waitingPid(application: string, former = 0): Promise<number> {
  return eventually(async () => {
    const [row] = await admin.query(
      `SELECT pid FROM pg_stat_activity
       WHERE application_name = $1 AND wait_event_type = 'Lock' AND pid <> $2`,
      [application, former],
    );
    return row?.pid as number;
  });
}

describe('An append that the database refuses reports why, and that nothing was written', () => {
  it('when all connections of the server are taken', async () => {
    const own = await storeOn({ url: urlAsRole(), pool: { idleTimeoutMillis: 1 } });
    await admin.query(`ALTER ROLE ${role} CONNECTION LIMIT 0`);
    try {
      const error = await refusalOf(own, 'TOO_MANY_CONNECTIONS');
      expect(error).toMatchObject({ limitedBy: 'server', retryable: true, outcome: 'not-applied' });
      expect(error.message).toContain('max_connections');
    } finally {
      await admin.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`);
    }
  });

  it('when the database takes no connections for now', async () => {
    const own = await storeOn({ url: urlAsRole(), pool: { idleTimeoutMillis: 1 } });
    const change = (allows: boolean): Promise<unknown> =>
      queryOnce(
        process.env['DATABASE_URL']!,
        `ALTER DATABASE ${databaseName()} ALLOW_CONNECTIONS ${allows}`,
      );
    await change(false);
    try {
      const error = await refusalOf(own, 'CONNECTION_LOST');
      expect(error).toMatchObject({ retryable: true, outcome: 'not-applied' });
    } finally {
      await change(true);
    }
  });

  it('when all connections of the pool are taken', async () => {
    const own = await storeOn({ pool: { connectionTimeoutMillis: 500 } });
    await own.dataSource.transaction(async () => {
      const error = await errorOf(own.append(newCounter(), [new Counted(1)]));
      expect(error).toMatchObject({
        code: 'TOO_MANY_CONNECTIONS',
        limitedBy: 'pool',
        outcome: 'not-applied',
      });
    });
  });

  it('when the database takes no writes, and then finds the new primary by itself', async () => {
    const proxied = await startProxy(database.url);
    const own = await storeOn({ url: proxied.url });
    await own.append(newCounter(), [new Counted(1)]);
    const connections = proxied.connections.length;
    await admin.query(`ALTER DATABASE ${databaseName()} SET default_transaction_read_only = on`);
    try {
      await admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
        [databaseName()],
      );
      const error = await refusalOf(own, 'READ_ONLY_DATABASE');
      expect(error).toMatchObject({ retryable: true, outcome: 'not-applied' });
    } finally {
      await admin.query('SET default_transaction_read_only = off');
      await admin.query(`ALTER DATABASE ${databaseName()} RESET default_transaction_read_only`);
    }
    // The connection that led to a standby was not kept.
    await own.append(newCounter(), [new Counted(1)]);
    expect(proxied.connections.length).toBeGreaterThan(connections + 1);
    await own.close();
    await proxied.close();
  });

  it('when the role lacks the right', async () => {
    const own = await storeOn({ url: urlAsRole() });
    await admin.query(`REVOKE ALL ON SCHEMA event_store FROM ${role}`);
    const error = await errorOf(own.append(newCounter(), [new Counted(1)]));
    expect(error).toMatchObject({
      code: 'ACCESS_DENIED',
      sqlState: '42501',
      role,
      retryable: false,
      outcome: 'not-applied',
    });
    expect(error.message).toContain(`the role "${role}"`);
    expect(error.message).toContain('permission denied for schema event_store');
    expect(error.message).toContain(`grantsSql({ application: '${role}' })`);
  });

  it('when a time limit of the database is shorter', async () => {
    const own = await storeOn({});
    // Less than an append waits for an aggregate in one turn.
    await own.dataSource.query(`SET statement_timeout = '100ms'`);
    const counter = newCounter();
    const error = await whileHeld(counter, () => errorOf(own.append(counter, [new Counted(1)])));
    expect(error).toMatchObject({
      code: 'STATEMENT_CANCELLED',
      sqlState: '57014',
      retryable: true,
      outcome: 'not-applied',
    });
    await eventually(() => own.dataSource.query('SET statement_timeout = 0'));
    await own.append(counter, [new Counted(1)]);
  });

  it('when the schema is gone', async () => {
    const own = await openStore(await database.dataSource(), { schema: 'short_lived' });
    await admin.query('DROP SCHEMA short_lived CASCADE');
    const error = await errorOf(own.append(newCounter(), [new Counted(1)]));
    expect(error).toMatchObject({ code: 'SCHEMA_MISMATCH', retryable: false });
    expect(error.message).toContain('short_lived');
    expect(error.message).toContain("migrations: 'run'");
  });

  it('when a constraint was added', async () => {
    const own = await openStore(await database.dataSource(), { schema: 'constrained' });
    await admin.query(
      `ALTER TABLE constrained.domain_events
       ADD CONSTRAINT no_secrets CHECK (payload->>'by' <> '4711')`,
    );
    const error = await errorOf(own.append(newCounter(), [new Counted(4711)]));
    expect(error).toMatchObject({
      code: 'CONSTRAINT_VIOLATED',
      constraint: 'no_secrets',
      retryable: false,
    });
    expect(error.message).not.toContain('4711');
  });
});

describe('An append whose connection is lost', () => {
  it('was not applied if no connection could be made', async () => {
    const proxied = await startProxy(database.url);
    const own = await storeOn({ url: proxied.url });
    await proxied.close();
    const error = await eventually(async () => {
      const thrown = await refusalOf(own, 'CONNECTION_LOST');
      expect(thrown.outcome).toBe('not-applied');
      return thrown;
    });
    expect(error.retryable).toBe(true);
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('was not applied if its transaction was lost before', async () => {
    const source = await database.dataSource({ poolSize: 1 });
    const own = await openStore(source);
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    const [{ pid }] = await runner.query('SELECT pg_backend_pid() AS pid');
    await admin.query('SELECT pg_terminate_backend($1)', [pid]);
    await eventually(() => runner.isReleased);
    const error = await errorOf(
      own.append(newCounter(), [new Counted(1)], { manager: runner.manager }),
    );
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'not-applied' });
  });

  it('has an unknown outcome, although the second try was refused', async () => {
    const own = await storeOn({ applicationName: 'cut-off' });
    const counter = newCounter();
    const error = await whileHeld(counter, async () => {
      const append = errorOf(own.append(counter, [new Counted(2)]));
      const first = await waitingPid('cut-off');
      await admin.query('SELECT pg_terminate_backend($1)', [first]);
      const second = await waitingPid('cut-off', first);
      await admin.query('SELECT pg_cancel_backend($1)', [second]);
      return append;
    });
    expect(error).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown', retryable: true });
    expect(error.message).toContain(
      'the second try failed: canceling statement due to user request',
    );
  });
});

it('A codec that writes beyond its own event does not change neighbouring events', async () => {
  class Doubling extends JsonCodec {
    override encode(payload: object): EncodedPayload {
      const { json } = super.encode(payload);
      return {
        json: payload instanceof Counted && payload.by < 0 ? `${json}\x1f${json}` : json,
        binary: null,
      };
    }
  }
  const own = await openStore(await database.dataSource(), { codec: new Doubling() });
  const [bad, good] = [newCounter(), newCounter()];
  const [refused, stored] = await Promise.allSettled([
    own.append(bad, [new Counted(-1)]),
    own.append(good, [new Counted(2), new Counted(3)]),
    // Of four appends, the first two are sent together.
    ...[4, 5].map((by) => own.append(newCounter(), [new Counted(by)])),
  ]);
  expect(refused).toMatchObject({ status: 'rejected', reason: { sqlState: '22P02' } });
  expect(stored.status).toBe('fulfilled');
  expect((await own.fetchByAggregate(good)).records.map(({ event }) => event)).toEqual([
    new Counted(2),
    new Counted(3),
  ]);
  expect(await own.currentVersion(bad)).toBe(0);
});

it('A read whose connection is lost twice leaves no connection open', async () => {
  const own = await storeOn({ applicationName: 'cut-off-reader' });
  const error = await admin.transaction(async (manager) => {
    await manager.query('LOCK TABLE event_store.aggregates IN ACCESS EXCLUSIVE MODE');
    const read = errorOf(own.fetchByAggregate(newCounter()));
    const first = await waitingPid('cut-off-reader');
    await manager.query('SELECT pg_terminate_backend($1)', [first]);
    const second = await waitingPid('cut-off-reader', first);
    await manager.query('SELECT pg_terminate_backend($1)', [second]);
    return read;
  });
  expect(error).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'not-applied', retryable: true });
  expect(error.message).not.toContain('append');
});

it('A store that is closed waits for all appends that it has accepted, single or batched', async () => {
  const own = await storeOn({ applicationName: 'closing' });
  const counter = newCounter();
  const settled: string[] = [];
  await whileHeld(counter, async () => {
    const appends = [{ aggregate: counter, events: [new Counted(1)] }];
    void own.appendAll(appends).then(() => settled.push('appendAll'));
    await waitingPid('closing');
    void own.close().then(() => settled.push('close'));
    await admin.query('SELECT 1');
    expect(settled).toEqual([]);
  });
  await eventually(() => settled.length === 2);
  expect(settled).toEqual(['appendAll', 'close']);
});

const databaseName = (): string => new URL(database.url).pathname.slice(1);

describe('What is stored of an error', () => {
  beforeAll(async () => {
    await admin.query(`
      CREATE TABLE public.letters (
        recipient text CONSTRAINT letters_recipient_unique UNIQUE,
        pages integer NOT NULL CONSTRAINT letters_pages_positive CHECK (pages > 0)
      );
      INSERT INTO public.letters VALUES ('ada@secret.example', 1);
    `);
  });
  afterAll(() => admin.query('DROP TABLE public.letters'));

  it.each([
    [`SELECT 'secret'::integer`, /invalid input syntax for type integer: "…"/],
    [`SELECT 'sec"ret" "secret'::integer`, /invalid input syntax for type integer: "…"$/],
    [`SELECT 'secret'::uuid`, /invalid input syntax for type uuid: "…"/],
    [`SELECT '{"a": secret}'::jsonb`, /invalid input syntax for type json/],
    [`SELECT 'secret'::timestamptz`, /invalid input syntax for type timestamp/],
    [`SELECT '2026-13-45 secret'::date`, /"…"/],
    [`SELECT '99999999999'::integer AS secret`, /value "…" is out of range for type integer/],
    [`SELECT 1 +'secret"`, /unterminated quoted string at or near "…"/],
    [
      `INSERT INTO public.letters VALUES ('ada@secret.example', 1)`,
      /duplicate key value violates unique constraint "letters_recipient_unique"/,
    ],
    [`INSERT INTO public.letters VALUES ('secret', 0)`, /"letters".*"letters_pages_positive"/],
    [`INSERT INTO public.letters VALUES ('secret', NULL)`, /"pages" of relation "letters"/],
    [`DO $$ BEGIN RAISE 'refused "secret"'; END $$`, /refused "…"/],
    ['SELECT * FROM no_such_letters', /relation "no_such_letters" does not exist/],
  ])('has no value that PostgreSQL quotes: %s', async (statement, stored) => {
    const error: unknown = await admin.query(statement).catch((reason: unknown) => reason);
    expect(describeError(error)).toMatch(stored);
    expect(describeError(error)).not.toMatch(/secret|99999999999/);
    expect(describeError(translateError(error))).not.toMatch(/secret|99999999999/);
  });
});
