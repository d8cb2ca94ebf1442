import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import type { DataSource } from 'typeorm';
import {
  BinaryCodec,
  EventLogVerifier,
  type LogFindingKind,
  type LogReport,
} from 'nest-event-store';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { PostgresChainedLog } from '../../../lib/postgres/evidence/postgres.chained-log.ts';
import { random, seed } from '../../support/random.ts';
import { Counted, openStore, type TestStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { useDatabase } from '../../support/use-store.ts';

export const schema = 'event_store';
export const events = `${schema}.domain_events`;
export const aggregates = `${schema}.aggregates`;
export const positions = `${schema}.positions`;
export const tables = [aggregates, events, `${schema}.removed_hashes`];
export const copyOf = (table: string): string => table.replace(`${schema}.`, 'copy_of_');

export const choices = random(seed());
export const { privateKey, publicKey } = generateKeyPairSync('ed25519');

export const counter = (number: number) => ({ type: 'counter', id: `c-${number}` });

/** An event that has a hash, as have those before and after it in its aggregate. */
export interface Victim {
  readonly position: number;
  readonly aggregate: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly key: number;
  /** The positions of the next event of its aggregate, and of the last one. */
  readonly next: number;
  readonly last: number;
}

export const named = (
  kind: LogFindingKind,
  { position, aggregate, version }: Pick<Victim, 'position' | 'aggregate' | 'version'>,
) => expect.objectContaining({ kind, position, aggregate, version });

export const expectClean = ({ findings, findingCount }: LogReport): void =>
  expect({ findings, findingCount }).toEqual({ findings: [], findingCount: 0 });

/**
 * A log with a hash chain that was switched on while it was written, and its anchors.
 *
 * Both are restored after each test.
 */
export function useChainedLog() {
  const database = useDatabase();
  let dataSource: DataSource;
  let stores: readonly TestStore[];
  let verifier: EventLogVerifier;
  let directory: string;
  let anchors: string;
  let lastPosition: number;
  let acknowledged = 0;
  let alterations = 0;

  beforeAll(async () => {
    dataSource = await database.dataSource();
    stores = [
      await openStore(dataSource, { allowRemoval: true }),
      await openStore(dataSource, { codec: new BinaryCodec() }),
    ];
    verifier = new EventLogVerifier(new PostgresChainedLog(dataSource, schema));
    directory = await mkdtemp(join(tmpdir(), 'anchors-'));
    anchors = join(directory, 'anchors.jsonl');

    await appendAtRandom(10);
    // Uses positions up.
    const rolledBack = dataSource.transaction(async (manager) => {
      await stores[0]!.append(counter(0), someEvents(), { manager });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await Promise.all([
      appendAtRandom(40),
      new Migrator(dataSource, schema, { hashChain: true }).run(),
      appendAtRandom(40),
    ]);
    for (let anchor = 0; anchor < 3; anchor++) {
      await appendAtRandom(25);
      await verifier.anchor(anchors, { privateKey });
    }
    await stores[0]!.removeEvents(counter(19));
    await appendAtRandom(4);
    for (const table of tables) {
      await dataSource.query(`CREATE TABLE ${copyOf(table)} AS TABLE ${table}`);
    }
    ({ lastPosition } = await stores[0]!.horizon());
  });
  afterEach(async () => {
    tally('F22', { runs: alterations, acknowledged });
    acknowledged = 0;
    await behindTheBack(
      ...tables.flatMap((table) => [
        `DELETE FROM ${table}`,
        `INSERT INTO ${table} SELECT * FROM ${copyOf(table)}`,
      ]),
      `SELECT setval('${positions}', ${lastPosition})`,
    );
    alterations = 0;
  });
  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  let counted = 0;
  const someEvents = () =>
    Array.from({ length: choices.integer(1, 5) }, () => new Counted((counted += 1)));

  /** Appends concurrently to a few aggregates, through every call and in both forms. */
  async function appendAtRandom(calls: number): Promise<void> {
    const append = async (): Promise<unknown> => {
      const store = choices.pick(stores);
      const [a, b] = [counter(choices.integer(0, 9)), counter(choices.integer(10, 19))];
      const metadata = { actor: choices.pick(['ada', 'grace', 'Zoë']) };
      switch (choices.integer(1, 4)) {
        case 1:
          return store.append(a, someEvents(), { metadata });
        case 2:
          return store.append(b, [new Counted((counted += 1))]);
        case 3:
          return store.appendAll([
            { aggregate: a, events: someEvents(), metadata },
            { aggregate: b, events: someEvents() },
            { aggregate: a, events: someEvents() },
          ]);
        default:
          return dataSource.transaction(async (manager) => {
            await store.append(b, someEvents(), { manager });
            await store.append(b, someEvents(), { manager });
          });
      }
    };
    acknowledged += (await Promise.all(Array.from({ length: calls }, append))).length;
  }

  /** Runs statements as a superuser, past the triggers and foreign keys of the store. */
  async function behindTheBack(...statements: string[]): Promise<void> {
    await dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL session_replication_role = replica');
      for (const sql of statements) await manager.query(sql);
    });
    alterations += 1;
  }

  async function pickEvent(but?: Victim): Promise<Victim> {
    const rows: Record<string, string>[] = await dataSource.query(
      `SELECT e.position, e.version, g.type, g.id, g.key, n.position AS next,
        (SELECT max(l.position) FROM ${events} AS l WHERE l.aggregate_key = g.key) AS last
      FROM ${events} AS e
      JOIN ${aggregates} AS g ON g.key = e.aggregate_key
      JOIN ${events} AS p ON p.aggregate_key = g.key AND p.version = e.version - 1
      JOIN ${events} AS n ON n.aggregate_key = g.key AND n.version = e.version + 1
      WHERE p.hash IS NOT NULL AND g.key <> $1
      ORDER BY e.position`,
      [but?.key ?? 0],
    );
    const { type, id, ...numbers } = choices.pick(rows);
    const aggregate = { type: type!, id: id! };
    const entries = Object.entries(numbers).map(([name, value]) => [name, Number(value)]);
    return { aggregate, ...Object.fromEntries(entries) } as Victim;
  }

  return {
    get dataSource(): DataSource {
      return dataSource;
    },
    get stores(): readonly TestStore[] {
      return stores;
    },
    get verifier(): EventLogVerifier {
      return verifier;
    },
    get directory(): string {
      return directory;
    },
    /** The file of three anchors, with appends before, between and after them. */
    get anchors(): string {
      return anchors;
    },
    get lastPosition(): number {
      return lastPosition;
    },
    someEvents,
    appendAtRandom,
    behindTheBack,
    pickEvent,
  };
}
