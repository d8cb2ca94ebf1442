import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { EventLogVerifier, hashChainSql } from 'nest-event-store';
import { PostgresChainedLog } from '../../lib/postgres/evidence/postgres.chained-log.ts';
import { createTestRoles, type TestRoles } from '../support/roles.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import {
  arrayNames,
  type Call,
  choices,
  honestCall,
  type Item,
  literal,
  mutate,
  separator,
} from './crafted-call.ts';

const schema = 'event_store';

let roles: TestRoles;
let superuser: DataSource;
let application: DataSource;
let store: TestStore;

beforeAll(async () => {
  roles = await createTestRoles();
  superuser = await roles.database.dataSource();
  await roles.install(schema);
  await superuser.query(hashChainSql(schema));
  application = await roles.dataSource('application', { max: 3 });
  store = await openStore(application);
  for (let id = 0; id < 4; id++) await store.append(counter(id), [new Counted(1), new Counted(2)]);
});
afterAll(() => roles.drop());

const counter = (id: number | string) => ({ type: 'counter', id: `c-${id}` });

const send = (
  on: Pick<DataSource, 'query'>,
  call: Call,
  raw: Partial<Record<string, string>> = {},
) => {
  const { types, ids, planned, expectedNew, appendAggregates, expected, ...events } =
    Object.fromEntries(
      arrayNames.map((name) => [name, raw[name] ?? literal(call.arrays[name])]),
    ) as Record<(typeof arrayNames)[number], string>;
  return on.query(
    `SELECT * FROM ${schema}.append_events(
      $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
    [
      ...[types, ids, planned, expectedNew, appendAggregates, expected],
      ...[events.eventAppends, events.eventIds, events.eventTypes, events.revisions],
      ...[call.payloads, call.binaries, call.metadata, ...call.flags, call.lockTimeoutMs],
    ],
  ) as Promise<{ outcome: string; version: string }[]>;
};

/** Fails if any aggregate, event or key differs from what regular appends leave. */
async function expectSoundLog(): Promise<void> {
  const unsound = await superuser.query(
    `SELECT g.id, g.version, array_agg(e.version ORDER BY e.position) AS versions
    FROM ${schema}.aggregates AS g
    LEFT JOIN ${schema}.domain_events AS e ON e.aggregate_key = g.key
    GROUP BY g.key
    HAVING array_agg(e.version::bigint ORDER BY e.position)
      IS DISTINCT FROM ARRAY(SELECT generate_series(1, g.version))`,
  );
  expect(unsound).toEqual([]);
  expect(
    (await new EventLogVerifier(new PostgresChainedLog(superuser, schema)).verify()).findings,
  ).toEqual([]);
}

const lastKey = async (): Promise<number> =>
  Number(
    (await superuser.query(`SELECT last_value FROM ${schema}.aggregates_key_seq`))[0].last_value,
  );

describe('append_events called by hand, as the application', () => {
  it('refuses crafted arguments, or appends as the library could', async () => {
    const refusals = new Map<string, number>();
    const firstKey = await lastKey();
    let aggregates = 0;
    let written = 0;
    for (let round = 0; round < 600; round++) {
      const call = honestCall();
      for (let n = choices.integer(0, 3); n > 0; n--) mutate(call);
      aggregates += call.arrays.ids.items.length;
      try {
        const rows = await application.transaction(async (manager) => {
          await manager.query(`SET LOCAL statement_timeout = '20s'`);
          return send(manager, call);
        });
        written += rows.filter(({ outcome }) => outcome === 'ok').length;
      } catch (error) {
        const { code } = error as { code: string };
        refusals.set(code, (refusals.get(code) ?? 0) + 1);
      }
    }
    // No timeout, and no error from the inside of the function.
    const known = ['22023', '23502', '23503', '23505', '23514', '22P02'];
    // 23503 is a new aggregate for which no version was planned.
    expect([...refusals.keys()].filter((code) => !known.includes(code))).toEqual([]);
    expect(Math.min(written, refusals.get('22023') ?? 0)).toBeGreaterThan(20);
    expect((await lastKey()) - firstKey).toBeLessThanOrEqual(2 * aggregates);
    await expectSoundLog();
    for await (const record of store.stream()) expect(record.event).toBeInstanceOf(Counted);
  });

  const arrays = (changes: Partial<Record<(typeof arrayNames)[number], string>>) => ({
    types: '{counter}',
    ids: '{c-0}',
    planned: '{1}',
    expectedNew: '{false}',
    appendAggregates: '{1}',
    expected: '{-1}',
    eventAppends: '{1}',
    eventIds: `{${randomUUID()}}`,
    eventTypes: '{counter.counted}',
    revisions: '{1}',
    ...changes,
  });

  it.each<[string, Partial<Record<(typeof arrayNames)[number], string>>]>([
    ['an append to aggregate -1', { appendAggregates: '{-1}' }],
    ['an append to aggregate 2 of 1', { appendAggregates: '{2}' }],
    ['an event of append 0', { eventAppends: '{0}' }],
    ['an event of append 2 of 1', { eventAppends: '{2}' }],
    ['an event of no append', { eventAppends: '{NULL}' }],
    ['an event where there is no append', { appendAggregates: '{}', expected: '{}' }],
    ['events from 0', { eventAppends: '[0:0]={1}' }],
    ['aggregates from 0', { types: '[0:0]={counter}', ids: '[0:0]={c-0}' }],
    ['an aggregate more, from 0', { types: '[0:1]={counter,counter}', ids: '[0:1]={c-0,c-new}' }],
    ['planned versions from 0', { planned: '[0:0]={1000}' }],
    ['two dimensions', { types: '{{counter}}', ids: '{{c-0}}' }],
    [
      'two aggregates that are one',
      {
        types: '{counter,counter}',
        ids: '{c-0,c-0}',
        planned: '{1,1}',
        expectedNew: '{false,false}',
      },
    ],
    ['an append without an expectation', { expected: '{}' }],
    ['an expectation that is none', { expected: '{-3}' }],
  ])('refuses %s', async (_, changes) => {
    const call = {
      ...honestCall(),
      payloads: '{"by": 1}',
      metadata: '{}',
      flags: [false, false, true],
    };
    await expect(send(application, call, arrays(changes))).rejects.toMatchObject({ code: '22023' });
    await expectSoundLog();
  });

  it('refuses binaries for another number of events', async () => {
    const call = {
      ...honestCall(),
      payloads: '{"by": 1}',
      binaries: `\\x01${separator}\\x02`,
      metadata: '{}',
      flags: [false, false, true],
    };
    await expect(send(application, call, arrays({}))).rejects.toMatchObject({ code: '22023' });
    await expectSoundLog();
  });

  it('appends with the same arguments without such binaries', async () => {
    const call = {
      ...honestCall(),
      payloads: '{"by": 1}',
      metadata: '{}',
      flags: [false, false, true],
    };
    expect(await send(application, call, arrays({}))).toMatchObject([{ outcome: 'ok' }]);
    await expectSoundLog();
  });
});

describe('append_event called by hand, as the application', () => {
  it('refuses crafted arguments, or appends as the library could', async () => {
    const refusals = new Set<string>();
    let written = 0;
    let last = '';
    for (let round = 0; round < 200; round++) {
      const values: Item[] = [
        ...['counter', choices.pick(['c-0', 'c-1', `c-new-${round}`]), choices.pick([-1, -2, 0])],
        ...[
          randomUUID(),
          'counter.counted',
          1,
          '{"by": 1}',
          null,
          '{}',
          choices.pick([null, 1_000]),
        ],
      ];
      const others: Item[][] = [
        ...[
          ['', null],
          ['', null],
          [2, -3, null, 1_000, '9223372036854775807'],
          [last || null, null],
        ],
        ...[['', null], [0, -1, null], ['[]', '1', null, '{'], [null], ['[]', null], [0, -1]],
      ];
      for (let n = choices.integer(0, 2); n > 0; n--) {
        const place = choices.integer(0, values.length - 1);
        values[place] = choices.pick(others[place]!);
      }
      last = String(values[3] ?? last);
      try {
        const [row] = await application.query(
          `SELECT ${schema}.append_event($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS written`,
          values,
        );
        if (row.written) written += 1;
      } catch (error) {
        refusals.add((error as { code: string }).code);
      }
    }
    const known = ['22023', '23502', '23505', '23514', '22P02'];
    expect([...refusals].filter((code) => !known.includes(code))).toEqual([]);
    expect(written).toBeGreaterThan(5);
    await expectSoundLog();
  });
});

describe('a wrong planned version', () => {
  it.each([1, 2, 1_000])('(%i) changes nothing', async (planned) => {
    const id = `c-planned-${planned}`;
    const call = {
      ...honestCall(),
      payloads: '{"by": 1}',
      metadata: '{}',
      flags: [false, false, false],
    };
    const rows = await send(application, call, {
      ...{ types: '{counter}', ids: `{${id}}`, planned: `{${planned}}`, expectedNew: '{true}' },
      ...{ appendAggregates: '{1}', expected: '{0}', eventAppends: '{1}' },
      ...{ eventIds: `{${randomUUID()}}`, eventTypes: '{counter.counted}', revisions: '{1}' },
    });
    expect(rows).toMatchObject([{ outcome: 'ok', version: '1' }]);
    expect(await store.currentVersion({ type: 'counter', id })).toBe(1);
    await expectSoundLog();
  });
});

describe('an event beyond the version of its aggregate', () => {
  it('is no part of its history', async () => {
    const forged = counter('forged');
    await store.append(forged, [new Counted(1), new Counted(2)]);
    await superuser.query(
      `INSERT INTO ${schema}.domain_events
      SELECT nextval('${schema}.positions'), gen_random_uuid(), g.key, 3, 'counter.counted', 1,
        '{"by": 7}', NULL, '{}', now()
      FROM ${schema}.aggregates AS g WHERE g.id = 'c-forged'`,
    );
    const { records } = await store.fetchByAggregate(forged);
    expect(records.map(({ event }) => event)).toEqual([new Counted(1), new Counted(2)]);
    const backward = await store.fetchByAggregate(forged, 0, { direction: 'backward' });
    expect(backward.records.map(({ version }) => version)).toEqual([2, 1]);
    expect((await store.fetchHistory(forged)).records).toHaveLength(2);
  });
});

describe('the mark by which a transaction knows that it is registered', () => {
  it.each([
    ['any value', () => '1'],
    [
      'the number of a transaction to come, and a position to come',
      (xid: bigint) => `${xid + 3n} 9999`,
    ],
  ])('does not hide an append if the session has set it to %s', async (_, valueOf) => {
    const session = await roles.dataSource('application', { max: 1 });
    const [{ source }] = await superuser.query(
      `SELECT prosrc AS source FROM pg_proc WHERE proname = 'append_event'`,
    );
    const name = /event_store\.in_flight_[0-9a-f]+/.exec(source)![0];
    const marked = await openStore(session);
    const other = await openStore(superuser);
    for (let round = 0; round < 6; round++) {
      const [{ xid }] = await superuser.query(
        'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid',
      );
      await session.query(`SELECT set_config('${name}', $1, false)`, [valueOf(BigInt(xid))]);
      await session.transaction(async (manager) => {
        const open = await marked.append(counter('marked'), [new Counted(round)], { manager });
        const late = await other.append(counter('late'), [new Counted(round)]);
        expect(late.position).toBeGreaterThan(open.position);
        expect((await other.fetch(open.position - 1)).records).toEqual([]);
      });
      await expect(other.currentPosition()).resolves.toBeGreaterThan(0);
      const { lastPosition, position } = await other.horizon();
      expect(position).toBe(lastPosition);
    }
  });
});
