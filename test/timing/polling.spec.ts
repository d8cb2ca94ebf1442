import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { random, seed } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

const pollIntervalMs = 300;
/** The time that handling one event may take. */
const slackMs = 400;

const database = useDatabase();

describe('a consumer that gets no notification of an append', () => {
  let reading: DataSource;
  let writer: TestStore;
  let process: TestProcess;
  const heardAt = new Map<number, number>();
  const testSeed = seed();

  beforeAll(async () => {
    writer = await openStore(await database.dataSource());
    reading = await database.dataSource({ applicationName: 'reader' });
  });
  afterEach(() => process.stop());

  /** Starts a reader, like another process, which gets no signal of the writer's appends. */
  async function startReader(listen: boolean): Promise<void> {
    const bells = consumer('bells', async (records) => {
      for (const { position } of records) heardAt.set(position, performance.now());
    });
    const store = await openStore(reading);
    process = await startConsumers(reading, store, [bells], { pollIntervalMs, listen });
    await process.control.waitFor('bells', await writer.currentPosition());
  }

  /** Measures how late several appends are heard, at moments that are independent of the interval. */
  async function lags(): Promise<number[]> {
    const choices = random(testSeed);
    const found: number[] = [];
    for (let n = 0; n < 8; n++) {
      await delay(choices.integer(0, 150));
      const { position } = await writer.append({ type: 'bell', id: '1' }, [new Counted(1)]);
      const appendedAt = performance.now();
      await eventually(() => heardAt.has(position), { intervalMs: 5 });
      found.push(heardAt.get(position)! - appendedAt);
    }
    tally('F6', { acknowledged: found.length });
    return found;
  }

  it('is at most one polling interval late with LISTEN switched off', async () => {
    await startReader(false);
    expect(Math.max(...(await lags()))).toBeLessThan(pollIntervalMs + slackMs);
  });

  it('is at most one polling interval late while its connection for LISTEN is cut', async () => {
    await startReader(true);
    const admin = await database.dataSource({ poolSize: 1 });
    let isOver = false;
    const cutting = (async () => {
      for (; !isOver; await delay(20)) {
        await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'reader' AND datname = current_database()
             AND query LIKE 'LISTEN%'`,
        );
      }
    })();
    const found = await lags();
    isOver = true;
    await cutting;
    expect(Math.max(...found)).toBeLessThan(pollIntervalMs + slackMs);
  });
});
