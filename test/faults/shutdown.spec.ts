import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { killAll, startProcess } from '../support/processes.ts';
import { random, seed } from '../support/random.ts';
import type { CounterFunctions, CountRequest } from './harness/counter.process.ts';

describe('an application that is told to end while requests are in flight', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    await killAll();
    await database.drop();
  });

  it('answers them, stores what it answers, lets consumers rest, and ends well', async () => {
    const choices = random(seed());
    const application = await startProcess<CounterFunctions>(
      new URL('./harness/counter.process.ts', import.meta.url),
      { url: database.url },
    );
    const url = `http://127.0.0.1:${await application.call.port()}/count`;
    const count = async (counter: string): Promise<number> => {
      const request: CountRequest = {
        counter,
        beforeMs: choices.integer(0, 600),
        afterMs: choices.integer(0, 200),
      };
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', connection: 'close' },
        body: JSON.stringify(request),
      });
      if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
      return ((await response.json()) as { position: number }).position;
    };

    const requests = Array.from({ length: 60 }, (_, n) => count(`${n % 20}`));
    await delay(250);
    const [positions] = await Promise.all([Promise.all(requests), application.stop()]);

    const dataSource = await database.dataSource();
    const stored = (await dataSource.query(
      `SELECT e.position::float8, g.type, g.id, e.version::float8
       FROM event_store.domain_events AS e JOIN event_store.aggregates AS g ON g.key = e.aggregate_key`,
    )) as { position: number; type: string; id: string; version: number }[];
    const counted = stored.filter(({ type }) => type === 'counter');
    expect(counted.map(({ position }) => position).toSorted((a, b) => a - b)).toEqual(
      positions.toSorted((a, b) => a - b),
    );
    expect(stored.filter(({ type }) => type === 'hook').map(({ id }) => id)).toEqual([
      'onModuleDestroy',
      'beforeApplicationShutdown',
    ]);
    const [checkpoint] = await dataSource.query(`SELECT owner, error FROM event_store.checkpoints`);
    expect(checkpoint).toEqual({ owner: null, error: null });
    expect(application.output).toBe('');
  }, 60_000);
});
