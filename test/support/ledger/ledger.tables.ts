import type { EventRecord } from '../../../lib/events/event-record.ts';
import type { Movement } from './ledger.events.ts';

/**
 * What the consumers of the ledger leave behind.
 *
 * No constraint keeps effects from being written twice, and tallies are running counters: whatever is
 * done twice is seen twice.
 */
export const createLedgerTables = `
CREATE SCHEMA ledger;
CREATE TABLE ledger.effects (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  generation integer NOT NULL,
  event_id uuid NOT NULL,
  replayed boolean NOT NULL,
  process integer NOT NULL
);
CREATE TABLE ledger.tallies (
  consumer text,
  generation integer,
  aggregate text,
  events integer NOT NULL,
  amount integer NOT NULL,
  PRIMARY KEY (consumer, generation, aggregate)
);
CREATE TABLE ledger.parents (name text PRIMARY KEY);
CREATE TABLE ledger.orphans (
  parent text REFERENCES ledger.parents (name) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE ledger.generations (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer text NOT NULL,
  generation integer NOT NULL,
  hook text NOT NULL
);`;

/** A connection, or the manager of a transaction. */
export interface Queryable {
  query(sql: string, values: unknown[]): Promise<unknown>;
}

interface Doing {
  readonly consumer: string;
  readonly generation: number;
  readonly replayed: boolean;
}

/** Records that these events were handled, one row for each, without checking for duplicates. */
export async function writeEffects(
  queryable: Queryable,
  records: readonly EventRecord[],
  { consumer, generation, replayed }: Doing,
): Promise<void> {
  await queryable.query(
    `INSERT INTO ledger.effects (consumer, generation, event_id, replayed, process)
     SELECT $1, $2, e.id, $4, $5 FROM unnest($3::uuid[]) WITH ORDINALITY AS e (id, n) ORDER BY e.n`,
    [consumer, generation, records.map(({ id }) => id), replayed, process.pid],
  );
}

/** Adds events up by aggregate, in one statement. */
export async function addToTallies(
  queryable: Queryable,
  records: readonly EventRecord[],
  { consumer, generation }: Doing,
): Promise<void> {
  const tallies = new Map<string, { events: number; amount: number }>();
  for (const { aggregate, event } of records) {
    const key = `${aggregate.type}/${aggregate.id}`;
    const tally = tallies.get(key) ?? { events: 0, amount: 0 };
    tally.events += 1;
    tally.amount += (event as Movement).amount;
    tallies.set(key, tally);
  }
  // In a fixed order, to avoid deadlocks.
  const sorted = [...tallies].toSorted(([a], [b]) => (a < b ? -1 : 1));
  await queryable.query(
    `INSERT INTO ledger.tallies AS t (consumer, generation, aggregate, events, amount)
     SELECT $1, $2, a.* FROM unnest($3::text[], $4::integer[], $5::integer[]) AS a
     ON CONFLICT (consumer, generation, aggregate)
     DO UPDATE SET events = t.events + excluded.events, amount = t.amount + excluded.amount`,
    [
      consumer,
      generation,
      sorted.map(([key]) => key),
      sorted.map(([, { events }]) => events),
      sorted.map(([, { amount }]) => amount),
    ],
  );
}

/** Records that a hook of a generation was called. */
export async function writeHook(
  queryable: Queryable,
  consumer: string,
  generation: number,
  hook: string,
): Promise<void> {
  await queryable.query(
    'INSERT INTO ledger.generations (consumer, generation, hook) VALUES ($1, $2, $3)',
    [consumer, generation, hook],
  );
}

/** Removes what a generation of a projection has written. */
export async function removeGeneration(
  queryable: Queryable,
  consumer: string,
  generation: number,
): Promise<void> {
  for (const table of ['effects', 'tallies']) {
    await queryable.query(`DELETE FROM ledger.${table} WHERE consumer = $1 AND generation = $2`, [
      consumer,
      generation,
    ]);
  }
}
