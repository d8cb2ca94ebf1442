import { randomUUID } from 'node:crypto';
import type { Subject } from '../subject.ts';
import { openEventsTable } from './events-table.ts';

const eventsEach = 5;

const insertRows = `
  INSERT INTO events (aggregate, version, type, payload)
  SELECT aggregate, (place - 1) % ${eventsEach} + 1, 'payment.booked', payload
  FROM unnest($1::text[], $2::jsonb[]) WITH ORDINALITY AS given (aggregate, payload, place)`;

/**
 * The limit: how fast the database takes rows in bulk.
 *
 * It is no store: the events of one append become aggregates of five events each, under new ids, like
 * the aggregates of the scenarios whose limit it shows.
 */
export const subject: Subject = {
  name: 'unnest',
  kind: 'limit',
  package: 'pg',
  hasGlobalOrder: false,
  async open(url, options) {
    const pool = await openEventsTable(url, options);
    return {
      async append(_, events) {
        let aggregate = '';
        const aggregates = events.map((__, index) => {
          if (index % eventsEach === 0) aggregate = randomUUID();
          return aggregate;
        });
        const payloads = events.map((event) => JSON.stringify(event));
        await pool.query({ name: 'rows', text: insertRows, values: [aggregates, payloads] });
      },
      close: () => pool.end(),
    };
  },
};
