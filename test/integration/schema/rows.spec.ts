import { beforeAll, describe, expect, it } from '@jest/globals';
import { problemOfName } from '../../../lib/input/printable-name.ts';
import { unprintableName } from '../../../lib/postgres/schema/tables/printable-name.sql.ts';
import { counted, counter, schema } from './counters.ts';
import { useStore } from '../../support/use-store.ts';

const given = useStore({ allowRemoval: true });

const refusal = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: unknown) => error,
  );

describe('stored events', () => {
  const kept = counter('kept');

  beforeAll(() => given.store.append(kept, counted(1, 2)));

  it.each([
    ['UPDATE', `UPDATE ${schema}.domain_events SET type = 'other'`],
    ['UPDATE', `UPDATE ${schema}.domain_events SET metadata = '{}' WHERE version = 2`],
    ['DELETE', `DELETE FROM ${schema}.domain_events WHERE version = 2`],
    ['TRUNCATE', `TRUNCATE ${schema}.domain_events`],
    ['TRUNCATE', `TRUNCATE ${schema}.aggregates CASCADE`],
  ])('refuse %s: %s', async (operation, sql) => {
    expect(await refusal(given.dataSource.query(sql))).toMatchObject({
      code: '23001',
      message: `Events of "${schema}" are append-only: ${operation} refused.`,
      driverError: { hint: expect.stringContaining('Append a correcting event.') },
    });
    expect((await given.store.fetchByAggregate(kept)).records.map(({ event }) => event)).toEqual(
      counted(1, 2),
    );
  });

  it('keep their aggregate', async () => {
    expect(await refusal(given.dataSource.query(`DELETE FROM ${schema}.aggregates`))).toMatchObject(
      {
        code: '23503',
      },
    );
  });

  it('refuse DELETE again once a removal in the same transaction is over', async () => {
    const other = counter('removed');
    await given.store.append(other, counted(1));
    const work = given.dataSource.transaction(async (manager) => {
      const sql = `SELECT ${schema}.remove_events('counter', 'removed') AS removed`;
      expect(await manager.query(sql)).toEqual([{ removed: '1' }]);
      await manager.query(`DELETE FROM ${schema}.domain_events`);
    });
    expect(await refusal(work)).toMatchObject({ code: '23001' });
    expect((await given.store.fetchByAggregate(other)).records).toHaveLength(1);
  });

  it('refuse DELETE under the setting of another schema', async () => {
    const work = given.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT set_config('event_store.removal', 'event_stor', true)`);
      await manager.query(`DELETE FROM ${schema}.domain_events`);
    });
    expect(await refusal(work)).toMatchObject({ code: '23001' });
  });
});

describe('a raw row', () => {
  const tables = {
    aggregates: { type: `'raw'`, id: `'raw'`, version: '3' },
    domain_events: {
      position: '9000',
      event_id: 'gen_random_uuid()',
      aggregate_key: `(SELECT key FROM ${schema}.aggregates WHERE id = 'base')`,
      version: '7',
      type: `'raw'`,
      revision: '1',
      payload: `'{}'`,
      metadata: `'{}'`,
      recorded_at: 'now()',
    },
  };
  type Table = keyof typeof tables;

  /** Inserts a valid row with these columns changed, and rolls that back. */
  async function insert(table: Table, columns: Record<string, string>): Promise<unknown> {
    const row = { ...tables[table], ...columns };
    const names = Object.keys(row).join(', ');
    const sql = `INSERT INTO ${schema}.${table} (${names}) VALUES (${Object.values(row).join(', ')})`;
    const undone = new Error('undone');
    const work = given.dataSource.transaction(async (manager) => {
      await manager.query(sql);
      throw undone;
    });
    const error = await refusal(work);
    return error === undone ? 'accepted' : error;
  }

  beforeAll(() => given.store.append(counter('base'), counted(1)));

  it.each<[Table, Record<string, string>]>([
    ['aggregates', {}],
    ['aggregates', { type: `repeat('t', 255)`, id: `repeat('ü', 256)` }],
    ['aggregates', { version: '9007199254740991', removed_version: '9007199254740991' }],
    ['domain_events', {}],
    ['domain_events', { type: `repeat('t', 255)`, binary_payload: `'\\x00'` }],
  ])('of %s that is valid is accepted: %j', async (table, columns) => {
    expect(await insert(table, columns)).toBe('accepted');
  });

  const snapshot = {
    snapshot_version: '3',
    snapshot_revision: '1',
    snapshot_state: `'{}'`,
    snapshot_taken_at: 'now()',
  };
  it.each<[Table, Record<string, string>, string]>([
    ['aggregates', { type: `''` }, 'aggregates_type_length'],
    ['aggregates', { type: `repeat('t', 256)` }, 'aggregates_type_length'],
    ['aggregates', { type: `E'a\\tb'` }, 'aggregates_type_printable'],
    ['aggregates', { id: `''` }, 'aggregates_id_length'],
    ['aggregates', { id: `repeat('ü', 257)` }, 'aggregates_id_length'],
    ['aggregates', { id: `E'a\\nb'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(1)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(127)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `chr(159)` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\202Eb'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\2028b'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `U&'a\\+0E0041b'` }, 'aggregates_id_printable'],
    ['aggregates', { id: `' a'` }, 'aggregates_id_printable'],
    ['aggregates', { type: `U&'a\\3000'` }, 'aggregates_type_printable'],
    ['aggregates', { version: '9007199254740992' }, 'aggregates_version_range'],
    ['aggregates', { removed_version: '-1' }, 'aggregates_version_range'],
    ['aggregates', { removed_version: '4' }, 'aggregates_removed_version_range'],
    ['aggregates', { ...snapshot, snapshot_version: '0' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_version: '4' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_revision: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_state: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { ...snapshot, snapshot_taken_at: 'NULL' }, 'aggregates_snapshot_whole'],
    ['aggregates', { type: `'counter'`, id: `'base'` }, 'aggregates_type_id_unique'],
    [
      'domain_events',
      { position: `(SELECT min(position) FROM ${schema}.domain_events)` },
      'domain_events_pkey',
    ],
    [
      'domain_events',
      { event_id: `(SELECT event_id FROM ${schema}.domain_events LIMIT 1)` },
      'domain_events_event_id_unique',
    ],
    ['domain_events', { version: '1' }, 'domain_events_aggregate_version_unique'],
    ['domain_events', { version: '0' }, 'domain_events_version_range'],
    ['domain_events', { aggregate_key: '0' }, 'domain_events_aggregate_fkey'],
    ['domain_events', { type: `''` }, 'domain_events_type_length'],
    ['domain_events', { type: `repeat('t', 256)` }, 'domain_events_type_length'],
    ['domain_events', { type: `E'a\\nb'` }, 'domain_events_type_printable'],
    ['domain_events', { type: `E'\\x1b[2J'` }, 'domain_events_type_printable'],
    ['domain_events', { type: `U&'a\\202Eb'` }, 'domain_events_type_printable'],
    ['domain_events', { revision: '0' }, 'domain_events_revision_range'],
    ['domain_events', { payload: `'[]'` }, 'domain_events_payload_object'],
    ['domain_events', { payload: `'null'` }, 'domain_events_payload_object'],
    ['domain_events', { metadata: `'"text"'` }, 'domain_events_metadata_object'],
  ])('of %s with %j is refused by %s', async (table, columns, constraint) => {
    expect(await insert(table, columns)).toMatchObject({ driverError: { constraint } });
  });

  it.each([
    ['inside', 'a', 'b'],
    ['between letters beyond ASCII', 'é', 'é'],
    ['at the beginning', '', 'b'],
    ['at the end', 'a', ''],
  ])('accepts the same characters as the code: %s', async (_, before, after) => {
    const rows = await given.dataSource.query<{ code: number }[]>(
      `SELECT n AS code FROM generate_series(1, 918000) AS n
      WHERE (n < 55296 OR n BETWEEN 57344 AND 131071 OR n > 917000)
        AND $1 || chr(n) || $2 ~ ${unprintableName}`,
      [before, after],
    );
    const refused: number[] = [];
    for (let code = 1; code <= 918_000; code++) {
      if (code >= 0xd800 && (code < 0xe000 || (code > 131_071 && code <= 917_000))) continue;
      const name = before + String.fromCodePoint(code) + after;
      if (problemOfName(name, 255) !== undefined) refused.push(code);
    }
    expect(rows.map((row) => row.code)).toEqual(refused);
    expect(refused.length).toBeGreaterThan(100);
  });

  it.each<[Table, string]>([
    ['aggregates', 'key'],
    ['aggregates', 'type'],
    ['aggregates', 'id'],
    ['aggregates', 'version'],
    ['aggregates', 'removed_version'],
    ...Object.keys(tables.domain_events).map((column): [Table, string] => [
      'domain_events',
      column,
    ]),
  ])('of %s without %s is refused', async (table, column) => {
    expect(await insert(table, { [column]: 'NULL' })).toMatchObject({
      code: '23502',
      driverError: { column },
    });
  });
});
