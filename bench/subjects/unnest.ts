import { openEventsTable } from './events-table.ts';
import type { Subject } from '../subject.ts';

const eventsEach = 5;

const insertRows = `
  INSERT INTO events (aggregate, version, type, payload)
  SELECT
    $1 || '/' || (place - 1) / ${eventsEach},
    (place - 1) % ${eventsEach} + 1,
    'payment.booked',
    payload
  FROM unnest($2::jsonb[]) WITH ORDINALITY AS given (payload, place)`;

/**
 * The limit: what the database takes in when it is handed rows in bulk.
 *
 * It is no store: the events of one append become aggregates with five events each, and nobody is
 * told of a conflict.
 */
export const subject: Subject = {
  name: 'unnest',
  kind: 'limit',
  package: 'pg',
  hasGlobalOrder: false,
  async open(url, options) {
    const pool = await openEventsTable(url, options);
    return {
      async append(aggregate, events) {
        const payloads = events.map((event) => JSON.stringify(event));
        await pool.query({ name: 'rows', text: insertRows, values: [aggregate, payloads] });
      },
      close: () => pool.end(),
    };
  },
};
