import type { DatabaseError, QueryConfig } from 'pg';
import { poll } from '../poll.ts';
import { resolveConflicts } from '../resolve-conflicts.ts';
import type { Payment, ReadEvent, Subject } from '../subject.ts';
import { openEventsTable } from './events-table.ts';

const insertOne = `
  INSERT INTO events (aggregate, version, type, payload)
  VALUES ($1, $2, 'payment.booked', $3)`;

const insertSeveral = `
  INSERT INTO events (aggregate, version, type, payload)
  SELECT $1, $2 + place, 'payment.booked', payload
  FROM unnest($3::jsonb[]) WITH ORDINALITY AS given (payload, place)`;

const insertNext = `
  INSERT INTO events (aggregate, version, type, payload)
  SELECT
    $1,
    (SELECT coalesce(max(version), 0) FROM events WHERE aggregate = $1) + place,
    'payment.booked',
    payload
  FROM unnest($2::jsonb[]) WITH ORDINALITY AS given (payload, place)`;

const selectAggregate = `
  SELECT type, payload
  FROM events
  WHERE aggregate = $1
  ORDER BY version`;

const pageSize = 1_000;
const selectPage = `
  SELECT position, aggregate, type, payload AS event
  FROM events
  WHERE position > $1
  ORDER BY position
  LIMIT ${pageSize}`;

/**
 * The baseline: prepared statements of `pg` on one table, whose unique index is the only check. `pg`
 * runs `JSON.parse` on every payload.
 *
 * Its reader asks for positions above the last one, as a reader written by hand does. It misses
 * events, because positions are not committed in the order in which they are drawn.
 */
export const subject: Subject = {
  name: 'raw',
  kind: 'baseline',
  package: 'pg',
  hasGlobalOrder: true,
  async open(url, options) {
    const pool = await openEventsTable(url, options);
    let conflicts = 0;

    async function readPage(after: string): Promise<Row[]> {
      const { rows } = await pool.query<Row>({ name: 'page', text: selectPage, values: [after] });
      return rows;
    }

    return {
      async append(aggregate, events, after) {
        if (after === 'any') {
          const next = { name: 'next', text: insertNext, values: [aggregate, payloads(events)] };
          conflicts += await resolveConflicts(() => pool.query(next), isConflict);
        } else await pool.query(insert(aggregate, events, after));
      },

      async appendInTransaction(aggregate, events, after) {
        const client = await pool.connect();
        try {
          await client.query('BEGIN');
          await client.query(insert(aggregate, events, after));
          await client.query('COMMIT');
        } finally {
          client.release();
        }
      },

      async load(aggregate) {
        const select = { name: 'aggregate', text: selectAggregate, values: [aggregate] };
        return (await pool.query(select)).rows.length;
      },

      async readAll(onEvent) {
        for (let position = '0'; ;) {
          const page = await readPage(position);
          for (const read of page) onEvent(read);
          if (page.length < pageSize) return;
          position = page.at(-1)!.position;
        }
      },

      follow(onEvent) {
        let position = '0';
        const reader = poll(async () => {
          const page = await readPage(position);
          for (const read of page) onEvent(read);
          position = page.at(-1)?.position ?? position;
          return page.length;
        });
        return Promise.resolve(reader);
      },

      conflicts: () => conflicts,
      close: () => pool.end(),
    };
  },
};

interface Row extends ReadEvent {
  readonly position: string;
}

const payloads = (events: readonly Payment[]): string[] =>
  events.map((event) => JSON.stringify(event));

function insert(aggregate: string, events: readonly Payment[], after: number): QueryConfig {
  return events.length === 1
    ? { name: 'one', text: insertOne, values: [aggregate, after + 1, JSON.stringify(events[0])] }
    : { name: 'several', text: insertSeveral, values: [aggregate, after, payloads(events)] };
}

const isConflict = (error: Error): boolean => (error as DatabaseError).code === '23505';
