import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import pg from 'pg';
import { Aggregate, EventData, everyNEvents, type AggregateRepository } from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { readAggregate, readHistory } from '../../lib/postgres/store/reading/read-aggregate.sql.ts';
import { postgresConsumers } from '../../lib/postgres/subscriptions/postgres.consumers.ts';
import { consumer } from '../support/consumers.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { useStore } from '../support/use-store.ts';

@Aggregate('counter', { snapshots: everyNEvents(5) })
class Counter extends AggregateRoot<object> {
  total = 0;

  constructor(readonly id: string) {
    super();
  }

  count(by: number): void {
    this.apply(new Counted(by));
  }

  onCounted({ by }: Counted): void {
    this.total += by;
  }
}

const schema = 'event_store';
const query = jest.spyOn(pg.Client.prototype, 'query');

const given = useStore();
let counters: AggregateRepository<Counter>;
let ids = 0;

beforeAll(async () => {
  const options = { cacheSize: 10, onWarning: () => undefined };
  counters = new AggregateRepositories(given.store, options).of(Counter);
});

const newCounter = () => ({ type: 'counter', id: `c-${(ids += 1)}` });
const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));

/** The statements that `work` sends to the database, each cut to what identifies it. */
async function sentBy(work: () => Promise<unknown>): Promise<string[]> {
  query.mockClear();
  await work();
  return query.mock.calls.map(([statement]) => {
    const text = typeof statement === 'string' ? statement : (statement as { text: string }).text;
    return /append_events?|read_log|\w+ TRANSACTION|COMMIT|snapshot_state/.exec(text)?.[0] ?? text;
  });
}

describe('the number of statements', () => {
  let known: { type: string; id: string };

  beforeEach(async () => {
    known = newCounter();
    const saved = new Counter(known.id);
    for (const by of [1, 2, 3, 4, 5]) saved.count(by);
    await counters.save(saved);
    await given.store.append(known, counted(6));
  });

  it('of an append is one, even for several aggregates or events', async () => {
    expect(await sentBy(() => given.store.append(known, counted(1, 2, 3)))).toEqual([
      'append_events',
    ]);
    const several = [known, newCounter(), newCounter()].map((aggregate) => ({
      aggregate,
      events: counted(1, 2),
    }));
    expect(await sentBy(() => given.store.appendAll(several))).toEqual(['append_events']);
  });

  it('of an append in a transaction is one, and one more after the commit', async () => {
    const work = () =>
      given.dataSource.transaction(async (manager) => {
        await given.store.append(known, counted(1), { manager });
        await given.store.append(known, counted(2), { manager });
      });
    expect(await sentBy(work)).toEqual([
      'START TRANSACTION',
      'append_event',
      'append_event',
      'COMMIT',
      expect.stringContaining('WHERE position = ANY'),
    ]);
  });

  it('of fifty appends called side by side is two', async () => {
    const aggregates = [
      ...Array.from({ length: 40 }, newCounter),
      ...Array<typeof known>(10).fill(known),
    ];
    const together = () =>
      Promise.all(aggregates.map((aggregate) => given.store.append(aggregate, counted(1))));
    expect(await sentBy(together)).toEqual(['append_events', 'append_events']);
  });

  it('of appends called while another is in flight is one for each half of them', async () => {
    const work = async () => {
      const first = given.store.append(known, counted(1));
      await Promise.resolve();
      const others = Array.from({ length: 50 }, () => given.store.append(newCounter(), counted(1)));
      await Promise.all([first, ...others]);
    };
    const [first, ...batches] = await sentBy(work);
    expect(first).toBe('append_event');
    expect(new Set(batches)).toEqual(new Set(['append_events']));
    // Two, unless the first append is answered last: then the rest is halved once more, or a few times.
    expect(batches.length).toBeLessThanOrEqual(Math.ceil(Math.log2(50)));
  });

  it('of a load is one, with a snapshot or without', async () => {
    expect(await sentBy(() => counters.load(known.id))).toEqual(['snapshot_state']);
    expect(await sentBy(() => counters.find(newCounter().id))).toEqual(['snapshot_state']);
    expect(await sentBy(() => given.store.fetchHistory(known))).toEqual(['snapshot_state']);
  });

  it('of a save is one, and two more if a snapshot is due: a read and the snapshot', async () => {
    const counter = await counters.load(known.id);
    counter.count(7);
    expect(await sentBy(() => counters.save(counter))).toEqual(['append_events']);
    for (const by of [8, 9, 10]) counter.count(by);
    const saved = await sentBy(() => counters.save(counter));
    expect(saved).toEqual(['append_events', 'snapshot_state', 'snapshot_state']);
    expect(await sentBy(() => counters.save(counter))).toEqual([]);
  });

  it('of an execute is a read and an append; from memory the read is of newer events only', async () => {
    const execute = () => counters.execute(known.id, (counter) => counter.count(1));
    expect(await sentBy(execute)).toEqual(['snapshot_state', 'append_events']);
    await given.store.append(known, counted(1));
    const rows = jest.spyOn(given.store, 'fetchHistory');
    expect(await sentBy(execute)).toEqual([readAggregate(schema), 'append_events']);
    const { records } = (await rows.mock.results[0]!.value) as Awaited<
      ReturnType<typeof given.store.fetchHistory>
    >;
    expect(records.map(({ version }) => version)).toEqual([7, 8]);
    rows.mockRestore();
  });

  it('of the registration of consumers is one, however many there are', async () => {
    const names = Array.from({ length: 200 }, (_, n) => `registered-${n}`);
    const consumers = names.map((name) => consumer(name, async () => undefined));
    const options = { schema, preparedStatements: true, listen: false };
    const { registry } = postgresConsumers(given.dataSource, options);
    const sent = await sentBy(() => registry.register(consumers));
    expect(sent).toHaveLength(1);
    const states = await registry.states();
    expect(states.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  });

  it('of a page is one, and of a stream one for each page', async () => {
    expect(await sentBy(() => given.store.fetch(0, { limit: 3 }))).toEqual(['read_log']);
    expect(await sentBy(() => given.store.fetchByAggregate(known))).toHaveLength(1);
    expect(await sentBy(() => given.store.currentPosition())).toEqual(['read_log']);
    const read = async () => {
      const seen = [];
      for await (const record of given.store.streamByAggregate(known, 0, { limit: 4 }))
        seen.push(record);
      expect(seen).toHaveLength(6);
    };
    expect((await sentBy(read)).length).toBeLessThanOrEqual(3);
  });

  it.each([
    [true, expect.stringMatching(/^event_store_[0-9a-f]{16}$/)],
    [false, undefined],
  ])('is the same with preparedStatements: %s', async (preparedStatements, name) => {
    const unprepared = await openStore(given.dataSource, { preparedStatements });
    expect(await sentBy(() => unprepared.append(known, counted(1)))).toEqual(['append_event']);
    expect(query.mock.calls[0]![0]).toMatchObject({ text: expect.any(String) });
    expect((query.mock.calls[0]![0] as { name?: string }).name).toEqual(name);
  });
});

it('every function that forces its plans switches JIT compilation off', async () => {
  const compiling: unknown[] = await given.dataSource.query(
    `SELECT proname FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace
    AND 'enable_seqscan=off' = ANY (proconfig) AND NOT 'jit=off' = ANY (proconfig)`,
  );
  expect(compiling).toEqual([]);
});

const aggregates = 5_000;
const perAggregate = 10;
const middle = { type: 'counter', id: 'bulk-2500' };

describe.each([
  // A new store fills faster than statistics are collected, and must be planned without them.
  [
    'in tables that were never analysed',
    `
      ALTER TABLE ${schema}.aggregates SET (autovacuum_enabled = false);
      ALTER TABLE ${schema}.domain_events SET (autovacuum_enabled = false);
      INSERT INTO ${schema}.aggregates (key, type, id, version)
      SELECT 100000 + n, 'counter', 'bulk-' || n, ${perAggregate}
      FROM generate_series(1, ${aggregates}) AS n;
      INSERT INTO ${schema}.domain_events
        (position, event_id, aggregate_key, version, type, revision, payload, metadata, recorded_at)
      SELECT
        nextval('${schema}.positions'), gen_random_uuid(), 100000 + n, v, 'counter.counted', 1,
        '{"by": 1}', '{}', now()
      FROM generate_series(1, ${perAggregate}) AS v, generate_series(1, ${aggregates}) AS n`,
  ],
  ['in analysed tables', `ANALYZE ${schema}.aggregates, ${schema}.domain_events`],
])('among 50,000 events %s', (_, preparation) => {
  beforeAll(async () => {
    await given.dataSource.query(preparation);
  });

  it.each([
    ['readAggregate', readAggregate(schema), `'counter', 'bulk-7', 3, 1000`],
    ['readHistory', readHistory(schema), `'counter', 'bulk-7', 1`],
  ])('%s scans no table, planned for its values or for any', async (name, sql, values) => {
    await given.dataSource.transaction(async (manager) => {
      await manager.query(`PREPARE "${name}" AS ${sql}`);
      for (const mode of ['force_custom_plan', 'force_generic_plan']) {
        await manager.query(`SET LOCAL plan_cache_mode = ${mode}`);
        const lines: { 'QUERY PLAN': string }[] = await manager.query(
          `EXPLAIN EXECUTE "${name}"(${values})`,
        );
        const plan = lines.map((line) => line['QUERY PLAN']).join('\n');
        expect([name, mode, plan]).toEqual([
          name,
          mode,
          expect.stringMatching(/Index Scan( Backward)? (using|on) aggregates_type_id_unique/),
        ]);
        expect(plan).toMatch(
          /Index Scan( Backward)? (using|on) domain_events_aggregate_version_unique/,
        );
        expect(plan).not.toContain('Seq Scan');
      }
      await manager.query(`DEALLOCATE "${name}"`);
    });
  });

  interface Cost {
    readonly scans: number;
    readonly fetched: number;
  }

  /** How often `work` scanned each table, and how many rows it fetched through indexes. */
  async function costOf(
    work: (inside: TestStore) => Promise<unknown>,
  ): Promise<Record<'aggregates' | 'domain_events', Cost>> {
    const undone = new Error('undone');
    const costs: Cost[][] = [];
    const transaction = given.dataSource.transaction(async (manager) => {
      const inside = await openStore(given.dataSource, { transactionManager: () => manager });
      // The counts of earlier transactions may not have been reported yet.
      const count = async () => {
        const rows: Cost[] = await manager.query(
          `SELECT seq_scan::int AS scans, coalesce(idx_tup_fetch, 0)::int AS fetched
          FROM pg_stat_xact_user_tables WHERE schemaname = $1 ORDER BY relname`,
          [schema],
        );
        costs.push(rows);
      };
      await count();
      await work(inside);
      await count();
      throw undone;
    });
    await expect(transaction).rejects.toBe(undone);
    const [aggregateCost, eventCost] = [0, 1].map((table) => {
      const [before, after] = costs.map((rows) => rows[table]!) as [Cost, Cost];
      return { scans: after.scans - before.scans, fetched: after.fetched - before.fetched };
    });
    return { aggregates: aggregateCost!, domain_events: eventCost! };
  }

  const times = 8;
  // More often than the five runs after which PostgreSQL may plan for any values at all.
  const often = (call: (store: TestStore, n: number) => Promise<unknown>) =>
    costOf(async (inside) => {
      for (let n = 0; n < times; n++) await call(inside, n);
    });

  it('a page of the log reads the rows of the page', async () => {
    const cost = await often((inside, n) => inside.fetch(25_000 + n));
    expect(cost).toMatchObject({ aggregates: { scans: 0 }, domain_events: { scans: 0 } });
    expect(cost.domain_events.fetched).toBeLessThanOrEqual(times * 1_010);
    expect(cost.aggregates.fetched).toBeLessThanOrEqual(times * 1_010);
  });

  it('the end of the log is found without reading the log', async () => {
    const cost = await often((inside) => inside.currentPosition());
    expect(cost.domain_events.scans).toBe(0);
    expect(cost.domain_events.fetched).toBeLessThanOrEqual(times * 20);
  });

  it.each([[[1]], [[1, 2, 3]]])(
    'an append of the events %j touches a handful of rows',
    async (by) => {
      const cost = await often((inside) => inside.append(middle, counted(...by)));
      expect(cost).toMatchObject({ aggregates: { scans: 0 }, domain_events: { scans: 0 } });
      expect(cost.aggregates.fetched).toBeLessThanOrEqual(times * 6);
      expect(cost.domain_events.fetched).toBeLessThanOrEqual(times * 6);
    },
  );

  it('a repeated append is recognised through the index of ids', async () => {
    const id = randomUUID();
    const repeated = [new EventData(new Counted(1), { id })];
    const cost = await often(async (inside, n) => {
      expect((await inside.append(middle, repeated)).duplicate).toBe(n > 0);
    });
    expect(cost).toMatchObject({ aggregates: { scans: 0 }, domain_events: { scans: 0 } });
    expect(cost.domain_events.fetched).toBeLessThanOrEqual(times * 6);
  });

  it('the loads of one aggregate read its rows', async () => {
    const cost = await often((inside) => inside.fetchHistory(middle));
    expect(cost).toMatchObject({ aggregates: { scans: 0 }, domain_events: { scans: 0 } });
    expect(cost.domain_events.fetched).toBeLessThanOrEqual(times * perAggregate);
  });
});
