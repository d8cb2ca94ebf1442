import { Pool } from 'pg';

const createTable = `
  CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregate text NOT NULL,
    version integer NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (aggregate, version)
  )`;

/** Opens a pool on the least that a log of events can be: one table with two indexes. */
export async function openEventsTable(
  url: string,
  { setUp, connections }: { readonly setUp: boolean; readonly connections: number },
): Promise<Pool> {
  const pool = new Pool({
    connectionString: url,
    max: connections,
  });
  if (setUp) await pool.query(createTable);
  return pool;
}
