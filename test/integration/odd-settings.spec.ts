import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { BinaryCodec, EventLogVerifier, hashChainSql } from 'nest-event-store';
import type { DataSource } from 'typeorm';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { noRetry } from '../../lib/subscriptions/retry-policy.ts';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { postgresContract } from '../support/postgres-contract.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

/** Each as far from its default as possible, as long as the store must behave the same. */
const oddSettings: Readonly<Record<string, string>> = {
  // What text means, and in what form values come back.
  array_nulls: 'off',
  backslash_quote: 'off',
  bytea_output: 'escape',
  DateStyle: 'SQL, DMY',
  escape_string_warning: 'off',
  extra_float_digits: '-15',
  IntervalStyle: 'sql_standard',
  quote_all_identifiers: 'on',
  standard_conforming_strings: 'off',
  TimeZone: 'Australia/Lord_Howe',
  timezone_abbreviations: 'India',
  transform_null_equals: 'on',
  xmlbinary: 'hex',
  xmloption: 'document',
  // What a statement may see and do.
  check_function_bodies: 'off',
  client_min_messages: 'error',
  default_toast_compression: 'pglz',
  row_security: 'off',
  search_path: 'nowhere',
  stats_fetch_consistency: 'snapshot',
  track_activities: 'off',
  track_counts: 'off',
  // How transactions begin and end.
  default_transaction_deferrable: 'on',
  default_transaction_isolation: 'serializable',
  idle_in_transaction_session_timeout: '10min',
  lock_timeout: '5min',
  statement_timeout: '10min',
  synchronous_commit: 'off',
  transaction_timeout: '10min',
  // How statements are planned and run.
  enable_hashagg: 'off',
  enable_hashjoin: 'off',
  enable_incremental_sort: 'off',
  enable_material: 'off',
  enable_memoize: 'off',
  enable_mergejoin: 'off',
  from_collapse_limit: '1',
  geqo_threshold: '2',
  join_collapse_limit: '1',
  plan_cache_mode: 'force_custom_plan',
  work_mem: '64kB',
};

const schema = 'event_store';
let roles: TestRoles;
let owner: DataSource;
let application: DataSource;

beforeAll(async () => {
  roles = await createTestRoles({ settings: oddSettings });
  await roles.install(schema, { allowRemoval: true });
  owner = await roles.dataSource('owner');
  application = await roles.dataSource('application', { max: 20 });
});
afterAll(() => roles.drop());
afterAll(() => tally('F27'));

const counter = (id: string) => ({ type: 'counter', id });

describe('PostgresEventStore with a hash chain, where every setting of the database is odd', () => {
  beforeAll(async () => owner.query(hashChainSql(schema)));

  postgresContract({
    application: () => application,
    owner: () => owner,
    check: async () => {
      const verifier = new EventLogVerifier(new PostgresChainedLog(application, schema));
      const { findings, unhashed } = await verifier.verify();
      // The contract spoils snapshots on purpose.
      expect(findings.filter(({ kind }) => kind !== 'snapshot')).toEqual([]);
      expect(unhashed).toBe(0);
    },
  });

  it('stores binary payloads beside events that have none', async () => {
    const mixed = new (class extends BinaryCodec {
      override encode(...given: Parameters<BinaryCodec['encode']>) {
        const encoded = super.encode(...given);
        return (given[0] as Counted).by < 0 ? { ...encoded, binary: null } : encoded;
      }
    })();
    const store = await openStore(application, { codec: mixed });
    const values = [1, -2, 3, -4].map((by) => new Counted(by));
    await store.append(counter('mixed'), values);
    const { records } = await store.fetchByAggregate(counter('mixed'));
    expect(records.map(({ event }) => event)).toEqual(values);
    const rows = await owner.query(
      `SELECT e.binary_payload IS NULL AS plain FROM ${schema}.domain_events AS e
      JOIN ${schema}.aggregates AS g ON g.key = e.aggregate_key
      WHERE g.id = 'mixed' ORDER BY e.version`,
    );
    expect(rows).toEqual([false, true, false, true].map((plain) => ({ plain })));
    await store.close();
  });
});

describe('a session that begins transactions at another level than READ COMMITTED', () => {
  it('appends and reads the log like any other', async () => {
    const source = await roles.dataSource('application', { max: 1 });
    const store = await openStore(source);
    const { position } = await store.append(counter('level'), [new Counted(1)]);
    await source.query(
      'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    );
    expect(await store.currentPosition()).toBe(position);
    const later = await store.append(counter('level'), [new Counted(2)]);
    expect((await store.fetch(position)).records.map((each) => each.position)).toEqual([
      later.position,
    ]);
    expect(await source.query('SHOW default_transaction_isolation')).toEqual([
      { default_transaction_isolation: 'repeatable read' },
    ]);
    await store.close();
  });

  it('has no conflicts among appends that expect none', async () => {
    const sources = [1, 2, 3].map(() => roles.dataSource('application', { max: 2 }));
    const stores = await Promise.all(sources.map(async (source) => openStore(await source)));
    const appends = Array.from({ length: 60 }, (_, n) =>
      stores[n % 3]!.append(counter('crowded'), [new Counted(n)]),
    );
    const results = await Promise.all(appends);
    const versions = results.map(({ version }) => version).toSorted((a, b) => a - b);
    expect(versions).toEqual(versions.map((_, n) => n + 1));
    await Promise.all(stores.map((each) => each.close()));
  });
});

describe('consumers, where every setting of the database is odd', () => {
  let process: TestProcess | undefined;

  afterEach(() => process?.stop());

  it('apply each event once, park what fails, and note when', async () => {
    const store = await openStore(application);
    const applied: number[] = [];
    process = await startConsumers(application, store, [
      consumer(
        'odd',
        async (records) => {
          for (const { event } of records as readonly { readonly event: Counted }[]) {
            if (event.by === 13) throw new Error('thirteen');
            applied.push(event.by);
          }
        },
        { kind: 'handler', from: 'now', onFailure: 'park', retry: noRetry, partitions: 2 },
      ),
    ]);
    const { control } = process;
    const began = Date.now();
    await store.append(counter('odd-1'), [new Counted(1), new Counted(2)]);
    const { position } = await store.append(counter('odd-2'), [new Counted(13), new Counted(14)]);
    await control.waitFor('odd', position);
    expect(applied.toSorted((a, b) => a - b)).toEqual([1, 2]);
    const [parked] = await control.parked('odd');
    expect(parked).toMatchObject({ events: 2, aggregate: counter('odd-2') });
    expect(Math.abs(parked!.failure.at.getTime() - began)).toBeLessThan(60_000);
    expect((await control.list()).consumers).toMatchObject([
      { name: 'odd', position, lagEvents: 0, parkedEvents: 2 },
    ]);
    await store.close();
  });

  it('are held back by an open append, which is named with its age', async () => {
    const store = await openStore(application);
    await application.transaction(async (manager) => {
      await store.append(counter('open'), [new Counted(1)], { manager });
      const { openAppends } = await store.horizon();
      expect(openAppends).toEqual([expect.objectContaining({ pid: expect.any(Number) })]);
    });
    expect((await store.horizon()).openAppends).toEqual([]);
    await store.close();
  });
});
