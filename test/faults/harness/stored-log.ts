import type { DataSource } from 'typeorm';
import type { StoredEventRow } from '../../support/history/history.ts';

/** Reads the whole log from its tables, past all functions of the store. */
export async function readLog(dataSource: DataSource): Promise<StoredEventRow[]> {
  const rows = (await dataSource.query(`
    SELECT e.position::float8, e.event_id AS id, g.type || '/' || g.id AS aggregate,
      e.version::float8, e.type, e.payload
    FROM event_store.domain_events AS e
    JOIN event_store.aggregates AS g ON g.key = e.aggregate_key
    ORDER BY e.position`)) as (StoredEventRow & { type: string; payload: unknown })[];
  return rows.map(({ type, payload, ...row }) => ({
    ...row,
    body: `${type} ${JSON.stringify(payload)}`,
  }));
}
