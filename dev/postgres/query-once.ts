import { Client } from 'pg';

/** Runs one statement on a connection of its own and returns the first value of its first row. */
export async function queryOnce(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  // An error of the connection also rejects the query.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}
