import type { Pool } from 'pg';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { library } from '../library.ts';
import { generateLoad, percentile, warmUpSeconds } from '../load-generator.ts';
import { storedAggregate } from '../payment.ts';
import type { Measurement, ScenarioContext, Stored } from '../scenario.ts';
import { startApplication } from '../subjects/ours.ts';
import { Account } from './account.ts';

const { EventStore, getAggregateRepositoryToken } = library;

/** How many events a load has to read after the snapshot. */
const behindSnapshot = 2;

async function startAccounts({ url, connections }: ScenarioContext) {
  const application = await startApplication(url, { connections, aggregates: [Account] });
  const accounts = application.get(getAggregateRepositoryToken(Account));
  return { application, accounts };
}

/** Loads aggregates at random through the repository, which folds all events or those after a snapshot. */
export async function measureRepositoryLoads(
  context: ScenarioContext,
  { aggregates, eventsEach }: Stored,
  { snapshots }: { readonly snapshots: boolean },
): Promise<Measurement> {
  const { application, accounts } = await startAccounts(context);
  if (snapshots) {
    const store = application.get(EventStore);
    const version = eventsEach - behindSnapshot;
    for (let n = 0; n < aggregates; n++) {
      const id = storedAggregate(n);
      await store.snapshot({ type: 'account', id }, { payments: version, cents: 0 }, version);
    }
  }
  const load = async (): Promise<void> => {
    const { payments } = await accounts.load(
      storedAggregate(Math.floor(Math.random() * aggregates)),
    );
    if (payments !== eventsEach) throw new Error(`Folded ${payments} events of ${eventsEach}.`);
  };
  await generateLoad(1, warmUpSeconds(context.seconds), load);
  await context.ready();
  const { p50Ms, p99Ms } = await generateLoad(1, context.seconds, load);
  await application.close();
  return { value: p50Ms, p50Ms, p99Ms };
}

/**
 * Alternates between an `execute` that changes nothing, on a cached aggregate without new events, and an
 * empty statement on the same pool: both are one round trip.
 */
export async function measureCachedExecutes(
  context: ScenarioContext,
  { eventsEach }: Stored,
): Promise<Measurement> {
  const { application, accounts } = await startAccounts(context);
  const { driver } = application.get<DataSource>(getDataSourceToken());
  const pool = (driver as unknown as { readonly master: Pool }).master;
  const emptyRoundTrip = () => pool.query({ name: 'empty', text: 'SELECT 1' });
  const execute = async (): Promise<void> => {
    const { result } = await accounts.execute(storedAggregate(0), ({ payments }) => payments);
    if (result !== eventsEach) throw new Error(`Folded ${result} events of ${eventsEach}.`);
  };

  const times = { execute: [] as number[], empty: [] as number[] };
  const both = async (): Promise<void> => {
    times.execute.push(await millisecondsOf(execute));
    times.empty.push(await millisecondsOf(emptyRoundTrip));
  };
  await generateLoad(1, warmUpSeconds(context.seconds), both);
  await context.ready();
  times.execute = [];
  times.empty = [];
  await generateLoad(1, context.seconds, both);
  await application.close();
  const p50Ms = percentileOf(times.execute, 0.5);
  const emptyMs = percentileOf(times.empty, 0.5);
  const p99Ms = percentileOf(times.execute, 0.99);
  return { value: p50Ms / emptyMs, p50Ms, p99Ms, facts: { emptyMs } };
}

async function millisecondsOf(call: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await call();
  return performance.now() - started;
}

const percentileOf = (values: readonly number[], share: number): number =>
  percentile(
    values.toSorted((a, b) => a - b),
    share,
  );
