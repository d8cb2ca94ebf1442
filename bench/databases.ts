import { Client } from 'pg';
import type { Stored } from './scenario.ts';

/** Makes the databases of a benchmark: a fresh one for each measurement. */
export class Databases {
  readonly #url: string;
  readonly #filled = new Map<string, string>();
  #made = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Makes a database, empty or as a copy of another, and returns its URL. */
  async create(template?: string): Promise<string> {
    const name = `bench_${process.pid}_${++this.#made}`;
    const copy = template ? `TEMPLATE ${nameIn(template)} STRATEGY file_copy` : '';
    await this.query(this.#url, `CREATE DATABASE ${name} ${copy}`);
    const url = new URL(this.#url);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** Returns a database in which `fill` has stored events; it is filled once and copied then. */
  async filled(
    subject: string,
    { aggregates, eventsEach }: Stored,
    fill: (url: string) => Promise<void>,
  ): Promise<string> {
    const key = `${subject} ${aggregates} ${eventsEach}`;
    let url = this.#filled.get(key);
    if (url === undefined) {
      url = await this.create();
      await fill(url);
      await this.query(url, 'VACUUM ANALYZE');
      this.#filled.set(key, url);
    }
    return url;
  }

  /** Writes out what is dirty, so that nobody pays for those before him. */
  async settle(): Promise<void> {
    await this.query(this.#url, 'CHECKPOINT');
  }

  async drop(url: string): Promise<void> {
    await this.query(this.#url, `DROP DATABASE IF EXISTS ${nameIn(url)} WITH (FORCE)`);
  }

  async dropFilled(): Promise<void> {
    for (const url of this.#filled.values()) await this.drop(url);
    this.#filled.clear();
  }

  async query(url: string, sql: string): Promise<unknown[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
}

const nameIn = (url: string): string => new URL(url).pathname.slice(1);
