import { Client } from 'pg';
import type { Stored } from './scenario.ts';

/** Makes the databases of a benchmark: a fresh one for each measurement. */
export class Databases {
  readonly #url: string;
  readonly #existing = new Set<string>();
  readonly #filled = new Map<string, string>();
  #made = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Makes a database, empty or as a copy of another, and returns its URL. */
  async create(template?: string): Promise<string> {
    const name = `bench_${process.pid}_${++this.#made}`;
    const copy = template ? `TEMPLATE ${nameIn(template)} STRATEGY file_copy` : '';
    await execute(this.#url, `CREATE DATABASE ${name} ${copy}`);
    const url = new URL(this.#url);
    url.pathname = `/${name}`;
    this.#existing.add(url.href);
    return url.href;
  }

  /** Returns a database that a subject has filled with this many events; fills it once, to be copied. */
  async filled(
    subject: string,
    { aggregates, eventsEach }: Stored,
    fill: (url: string) => Promise<void>,
  ): Promise<string> {
    const key = `${subject} ${aggregates} ${eventsEach}`;
    const known = this.#filled.get(key);
    if (known !== undefined) return known;
    const url = await this.create();
    await fill(url);
    await execute(url, 'VACUUM ANALYZE');
    this.#filled.set(key, url);
    return url;
  }

  /** Runs a checkpoint, so that no scenario pays for the writes of earlier ones. */
  async settle(): Promise<void> {
    await execute(this.#url, 'CHECKPOINT');
  }

  /** Drops a database, and closes the connections to it. */
  async drop(url: string): Promise<void> {
    await execute(this.#url, `DROP DATABASE ${nameIn(url)} WITH (FORCE)`);
    this.#existing.delete(url);
  }

  /** Drops all databases that were created. */
  async dropAll(): Promise<void> {
    for (const url of this.#existing) await this.drop(url);
    this.#filled.clear();
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

const nameIn = (url: string): string => new URL(url).pathname.slice(1);
