import type { DatabaseError, QueryConfig } from 'pg';
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
  SELECT payload
  FROM events
  WHERE aggregate = $1
  ORDER BY version`;

const selectPage = `
  SELECT position, aggregate, payload AS event
  FROM events
  WHERE position > $1
  ORDER BY position
  LIMIT 1000`;

/** The baseline: one table and prepared statements. `pg` itself runs `JSON.parse` on every payload. */
export const subject: Subject = {
  name: 'raw',
  kind: 'baseline',
  package: 'pg',
  hasGlobalOrder: true,
  async open(url, options) {
    const pool = await openEventsTable(url, options);

    return {
      async append(aggregate, events, after) {
        if (after !== 'any') {
          await pool.query(insert(aggregate, events, after));
          return;
        }
        const values = [aggregate, events.map((event) => JSON.stringify(event))];
        while (!(await isFree(pool.query({ name: 'next', text: insertNext, values }))));
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
        const { rows } = await pool.query(select);
        return rows.length;
      },

      async *readAll(): AsyncGenerator<ReadEvent> {
        for (let position = '0'; ;) {
          const select = { name: 'page', text: selectPage, values: [position] };
          const { rows } = await pool.query<Row>(select);
          yield* rows;
          if (rows.length < 1_000) return;
          position = rows.at(-1)!.position;
        }
      },

      close: () => pool.end(),
    };
  },
};

interface Row extends ReadEvent {
  readonly position: string;
}

function insert(aggregate: string, events: readonly Payment[], after: number): QueryConfig {
  const payloads = events.map((event) => JSON.stringify(event));
  return events.length === 1
    ? { name: 'one', text: insertOne, values: [aggregate, after + 1, payloads[0]] }
    : { name: 'several', text: insertSeveral, values: [aggregate, after, payloads] };
}

/** Whether the version that an insert has chosen was still free. */
async function isFree(inserted: Promise<unknown>): Promise<boolean> {
  try {
    await inserted;
    return true;
  } catch (error) {
    if ((error as DatabaseError).code === '23505') return false;
    throw error;
  }
}
