import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import { readLog } from '../../lib/postgres/schema/functions/read-log.sql.ts';
import { EventStoreError } from '../../lib/event-store.error.ts';
import { random, seed, type Random } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

interface Seen {
  readonly position: number;
  readonly aggregate: string;
  readonly version: number;
}

interface Findings {
  /** Appends, or transactions with several. */
  readonly acknowledged: number;
  readonly written: number;
  readonly skipped: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  readonly versionsOutOfOrder: number;
}

const leastMs = 4_000;
const leastAcknowledged = 300;
const aggregates = Array.from({ length: 24 }, (_, n) => ({ type: 'counter', id: `c${n}` }));
const rollback = new Error('rolled back on purpose');

const database = useDatabase();

describe('reading the whole log while it is written', () => {
  let dataSource: DataSource;
  const testSeed = seed();

  beforeAll(async () => {
    dataSource = await database.dataSource({ poolSize: 24 });
  });

  it('skips, doubles and reorders nothing', async () => {
    const store = await openStore(dataSource, { schema: 'guarded' });
    const findings = await writeAndRead(store, dataSource, testSeed);
    tally('F7', findings);
    const { acknowledged, written } = findings;
    expect(findings).toEqual({ ...clean, acknowledged, written });
    expect(written).toBeGreaterThan(500);
  });

  it('skips events once the horizon is taken out', async () => {
    const store = await openStore(dataSource, { schema: 'unguarded' });
    const definition = readLog('unguarded')
      .replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION')
      .replace('IF p_backward THEN', 'v_horizon := 9007199254740991;\n  IF p_backward THEN');
    await dataSource.query(definition);
    const { written, skipped } = await writeAndRead(store, dataSource, testSeed);
    console.info(`Without the horizon ${skipped} of ${written} events were skipped.`);
    expect(skipped).toBeGreaterThan(0);
  });
});

const clean: Findings = {
  acknowledged: 0,
  written: 0,
  skipped: 0,
  doubled: 0,
  outOfOrder: 0,
  versionsOutOfOrder: 0,
};

/** Writers of every kind against two tailing readers; compares what those saw with the final log. */
async function writeAndRead(
  store: TestStore,
  dataSource: DataSource,
  from: number,
): Promise<Findings> {
  let writing = true;
  let acknowledged = 0;
  const start = performance.now();
  const writers = Array.from({ length: 16 }, async (_, n) => {
    const choices = random(from + n);
    while (performance.now() - start < leastMs || acknowledged < leastAcknowledged) {
      if (await writeOnce(store, dataSource, choices)) acknowledged += 1;
    }
  });
  const readers = [1, 2].map(async (n) => {
    const choices = random(from - n);
    const seen: Seen[] = [];
    let position = 0;
    for (;;) {
      const isLastRead = !writing;
      const page = await store.fetch(position, { limit: choices.integer(1, 60) });
      position = page.position;
      for (const record of page.records) {
        seen.push({
          position: record.position,
          aggregate: record.aggregate.id,
          version: record.version,
        });
      }
      if (page.records.length === 0) {
        if (isLastRead) return seen;
        await delay(choices.integer(0, 3));
      }
    }
  });

  await Promise.all(writers);
  writing = false;
  const log: Seen[] = [];
  const allSeen = await Promise.all(readers);
  // After all writers have ended, the table is the truth.
  const rows = (await dataSource.query(
    `SELECT e.position::float8, g.id AS aggregate, e.version::float8
     FROM ${store.schema}.domain_events e JOIN ${store.schema}.aggregates g ON g.key = e.aggregate_key
     ORDER BY e.position`,
  )) as Seen[];
  log.push(...rows);
  return { acknowledged, ...allSeen.map((seen) => compare(seen, log)).reduce(worst) };
}

/** One append, or a transaction with several, of a kind chosen at random; resolves to whether it is stored. */
async function writeOnce(
  store: TestStore,
  dataSource: DataSource,
  choices: Random,
): Promise<boolean> {
  const events = () => Array.from({ length: choices.integer(1, 4) }, () => new Counted(1));
  const append = (manager?: EntityManager) =>
    store.append(choices.pick(aggregates), events(), manager ? { manager } : {});
  const pause = () => delay(choices.integer(0, 25));

  const kinds: Record<string, () => Promise<unknown>> = {
    plain: () => append(),
    several: () =>
      store.appendAll([
        { aggregate: choices.pick(aggregates), events: events() },
        { aggregate: choices.pick(aggregates), events: events() },
      ]),
    slow: () =>
      dataSource.transaction(async (manager) => {
        await append(manager);
        await pause();
        if (choices.next() < 0.5) await append(manager);
        await pause();
      }),
    rolledBack: () =>
      dataSource.transaction(async (manager) => {
        await append(manager);
        await pause();
        throw rollback;
      }),
    savepoint: () =>
      dataSource.transaction(async (manager) => {
        await manager
          .transaction(async (inner) => {
            await append(inner);
            await pause();
            if (choices.next() < 0.6) throw rollback;
          })
          .catch(ignoreRollback);
        await pause();
        await append(manager);
        await pause();
      }),
    repeatableRead: () =>
      dataSource.transaction('REPEATABLE READ', async (manager) => {
        await manager.query('SELECT 1');
        await pause();
        await append(manager);
        await pause();
      }),
  };
  try {
    await kinds[choices.pick(Object.keys(kinds))]!();
    return true;
  } catch (error) {
    // The database ends one of two transactions that conflict, as it should.
    if (
      error !== rollback &&
      !(error instanceof EventStoreError && error.code === 'TRANSACTION_CONFLICT')
    ) {
      throw error;
    }
    return false;
  }
}

function ignoreRollback(error: unknown): void {
  if (error !== rollback) throw error;
}

type Comparison = Omit<Findings, 'acknowledged'>;

function compare(seen: readonly Seen[], log: readonly Seen[]): Comparison {
  const positions = new Set(seen.map(({ position }) => position));
  const versions = new Map<string, number>();
  let outOfOrder = 0;
  let versionsOutOfOrder = 0;
  for (const [index, { position, aggregate, version }] of seen.entries()) {
    if (index > 0 && position <= seen[index - 1]!.position) outOfOrder++;
    if (version !== (versions.get(aggregate) ?? 0) + 1) versionsOutOfOrder++;
    versions.set(aggregate, version);
  }
  return {
    written: log.length,
    skipped: log.filter(({ position }) => !positions.has(position)).length,
    doubled: seen.length - positions.size,
    outOfOrder,
    versionsOutOfOrder,
  };
}

function worst(a: Comparison, b: Comparison): Comparison {
  return {
    written: a.written,
    skipped: Math.max(a.skipped, b.skipped),
    doubled: Math.max(a.doubled, b.doubled),
    outOfOrder: Math.max(a.outOfOrder, b.outOfOrder),
    versionsOutOfOrder: Math.max(a.versionsOutOfOrder, b.versionsOutOfOrder),
  };
}
