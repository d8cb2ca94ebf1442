import { describe, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import {
  hasPgBouncer,
  keepsStatements,
  type Pooler,
  type PoolerOptions,
  startPooler,
} from '../../support/pgbouncer.ts';

export const schema = 'event_store';

export const withoutSessions = { pooler: 'transaction' } as const;

const skip = it.skip;
export const describeBehindPgBouncer: (subject: string, tests: () => void) => void = hasPgBouncer
  ? describe
  : (subject: string) =>
      skip(`${subject} (needs PgBouncer, as by apt-get install pgbouncer)`, () => undefined);

export const itKeepingStatements: (title: string, test: () => Promise<void>) => void =
  keepsStatements ? it : it.skip;

/** What a spec has opened; closed after it in reverse order. */
const opened: (() => Promise<unknown>)[] = [];
export async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).toReversed()) await close();
}

export async function openDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  opened.push(() => database.drop());
  return database;
}

export async function openPooler(url: string, options?: PoolerOptions): Promise<Pooler> {
  const pooler = await startPooler(url, options);
  opened.push(() => pooler.stop());
  return pooler;
}

export async function connect(url: string, poolSize = 10): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', url, poolSize, installExtensions: false });
  await dataSource.initialize();
  opened.push(async () => dataSource.isInitialized && dataSource.destroy());
  return dataSource;
}

/** Returns what is set up in the pooler's sessions and would apply to the next client that gets them. */
export async function leftInSessions({ url }: Pooler, poolSize: number): Promise<string[]> {
  const dataSource = await connect(url, poolSize);
  // All sessions at once, so that each one is checked.
  const runners = Array.from({ length: poolSize }, () => dataSource.createQueryRunner());
  const left: { what: string }[] = [];
  for (const runner of runners) {
    await runner.startTransaction();
    left.push(...(await runner.query(readLeft)));
  }
  for (const runner of runners) {
    await runner.rollbackTransaction();
    await runner.release();
  }
  return left.map(({ what }) => what);
}

// PgBouncer itself sets the excluded settings for each client.
const readLeft = `
  SELECT 'listens to ' || c AS what FROM pg_listening_channels() AS c
  UNION ALL SELECT 'holds a lock' FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'advisory'
  UNION ALL SELECT 'has prepared ' || name FROM pg_prepared_statements
  UNION ALL SELECT 'has set ' || name FROM pg_settings
  WHERE source = 'session' AND name NOT IN (
    'application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
    'IntervalStyle', 'transaction_isolation'
  )
  UNION ALL SELECT 'has made ' || relname FROM pg_class WHERE relpersistence = 't'`;
