import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import {
  Consumers,
  DomainEvent,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  type EventRecord,
  type EventStoreOptions,
} from 'nest-event-store';
import { startApplication } from '../module/start-application.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { type Random, random, seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';

@DomainEvent('bell.rung')
class BellRung {
  constructor(readonly times: number) {}
}

@Projection('bells')
@Injectable()
class Bells {
  readonly heardAt = new Map<number, number>();

  @On(BellRung)
  rung(_: BellRung, { position }: EventRecord): void {
    this.heardAt.set(position, performance.now());
  }
}

/** What a busy machine may need to handle one event. */
const slackMs = 400;

describe('a consumer that is not told of appends', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let admin: DataSource;
  let writer: TestingModule;
  let reader: TestingModule | undefined;
  let choices: Random;
  /** Appends that were acknowledged, and then heard of. */
  let heard = 0;

  beforeAll(async () => {
    choices = random(seed());
    database = await createTestDatabase();
    proxy = await startProxy(database.url);
    admin = await database.dataSource({ poolSize: 1 });
    writer = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ autoStart: false }),
        EventStoreModule.forFeature({ events: [BellRung] }),
      ],
    });
  });
  afterEach(async () => {
    await reader?.close();
    tally('F6', { acknowledged: heard });
    heard = 0;
  });
  afterAll(async () => {
    await writer.close();
    await proxy.close();
    await database.drop();
  });

  /** Another process, by way of the proxy, which is up to date with the log. */
  async function startReader(options: EventStoreOptions): Promise<Bells> {
    const through = new DataSource({
      type: 'postgres',
      url: proxy.url,
      applicationName: 'reader',
      installExtensions: false,
    });
    reader = await startApplication(await through.initialize(), {
      imports: [
        EventStoreModule.forRoot(options),
        EventStoreModule.forFeature({ events: [BellRung] }),
      ],
      providers: [Bells],
    });
    await reader
      .get(Consumers)
      .waitFor('bells', await writer.get(EventStore).currentPosition(), patiently);
    return reader.get(Bells);
  }

  /** Appends in the writer's process; returns after how many milliseconds the reader has handled it. */
  async function ring(bells: Bells, timeoutMs = 5_000): Promise<number> {
    const { position } = await writer
      .get(EventStore)
      .append({ type: 'bell', id: '1' }, [new BellRung(1)]);
    const appendedAt = performance.now();
    await eventually(() => bells.heardAt.has(position), { timeoutMs, intervalMs: 5 });
    heard += 1;
    return bells.heardAt.get(position)! - appendedAt;
  }

  /** The lag of several appends, at moments that have nothing to do with the interval of polling. */
  async function ringOften(bells: Bells, times: number): Promise<number[]> {
    const lags: number[] = [];
    for (let n = 0; n < times; n++) {
      await delay(choices.integer(0, 150));
      lags.push(await ring(bells));
    }
    return lags;
  }

  const listening = () =>
    proxy.connections.filter((each) => each.isOpen && each.hasSent('LISTEN "'));

  it('polls, with LISTEN switched off', async () => {
    const pollIntervalMs = 300;
    const bells = await startReader({ listen: false, pollIntervalMs });
    for (const lag of await ringOften(bells, 6)) expect(lag).toBeLessThan(pollIntervalMs + slackMs);
    expect(listening()).toEqual([]);
  });

  it('polls, while its connection for LISTEN is cut again and again, and listens afterwards', async () => {
    const pollIntervalMs = 300;
    const bells = await startReader({ pollIntervalMs });
    let isOver = false;
    let cuts = 0;
    const cutting = (async () => {
      for (; !isOver; await delay(20)) cuts += await cutListeners();
    })();
    const lags = await ringOften(bells, 8);
    isOver = true;
    await cutting;
    for (const lag of lags) expect(lag).toBeLessThan(pollIntervalMs + slackMs);
    expect(cuts).toBeGreaterThan(2);
    await eventually(() => listening().length === 1);
  });

  it('makes up for what was said while it was not listening', async () => {
    const bells = await startReader({ pollIntervalMs: 60_000 });
    expect(await ring(bells)).toBeLessThan(2_000);
    await eventually(cutListeners);
    expect(await ring(bells)).toBeLessThan(5_000);
    await eventually(() => listening().length === 1);
    expect(await ring(bells)).toBeLessThan(2_000);
  });

  it('polls, while its connection for LISTEN is half-open, and finds out', async () => {
    const pollIntervalMs = 300;
    const bells = await startReader({ pollIntervalMs });
    const [dead] = listening();
    dead!.swallow();
    // Looks at its leases now, and not only in a few seconds.
    await reader!.get(Consumers).resume('bells');
    const lags: number[] = [];
    while (listening().includes(dead!)) lags.push(...(await ringOften(bells, 1)));
    for (const lag of lags) expect(lag).toBeLessThan(pollIntervalMs + slackMs);
    expect(lags.length).toBeGreaterThan(5);
    await eventually(() => listening().length === 1);
  });

  async function cutListeners(): Promise<number> {
    const rows = await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'reader' AND datname = current_database()
         AND (query LIKE 'LISTEN%' OR query LIKE '%hold_checkpoints(%')`,
    );
    return rows.length;
  }
});
