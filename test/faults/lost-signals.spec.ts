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
import { eventually, patiently } from '../support/eventually.ts';
import { type Random, random, seed } from '../support/random.ts';
import { tally } from '../support/tally.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { useDatabase } from '../support/use-store.ts';

@DomainEvent('bell.rung')
class BellRung {
  constructor(readonly times: number) {}
}

@Projection('bells')
@Injectable()
class Bells {
  readonly heard = new Set<number>();

  @On(BellRung)
  rung(_: BellRung, { position }: EventRecord): void {
    this.heard.add(position);
  }
}

const database = useDatabase();

describe('a consumer that gets no notification of an append', () => {
  let proxy: TcpProxy;
  let admin: DataSource;
  let writer: TestingModule;
  let reader: TestingModule | undefined;
  let choices: Random;
  /** The number of appends that were acknowledged and then handled. */
  let heard = 0;

  beforeAll(async () => {
    choices = random(seed());
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
  });

  /** Starts another process, connected through the proxy, and waits until it has read the log. */
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

  /** Appends in the writer's process; returns once the reader has handled it. */
  async function ring(bells: Bells): Promise<void> {
    const { position } = await writer
      .get(EventStore)
      .append({ type: 'bell', id: '1' }, [new BellRung(1)]);
    await eventually(() => bells.heard.has(position), { intervalMs: 5 });
    heard += 1;
  }

  /** Appends several times, at moments that are independent of the polling interval. */
  async function ringOften(bells: Bells, times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      await delay(choices.integer(0, 150));
      await ring(bells);
    }
  }

  const listening = () =>
    proxy.connections.filter((each) => each.isOpen && each.hasSent('LISTEN "'));

  it('polls with LISTEN switched off', async () => {
    const bells = await startReader({ pooler: 'transaction', pollIntervalMs: 300 });
    await ringOften(bells, 6);
    expect(listening()).toEqual([]);
  });

  it('polls while its connection for LISTEN is cut repeatedly, and listens afterwards', async () => {
    const bells = await startReader({ pollIntervalMs: 300 });
    let isOver = false;
    let cuts = 0;
    const cutting = (async () => {
      for (; !isOver; await delay(20)) cuts += await cutListeners();
    })();
    await ringOften(bells, 8);
    while (cuts <= 2) await ringOften(bells, 1);
    isOver = true;
    await cutting;
    await eventually(() => listening().length === 1);
  });

  it('catches up on notifications that it missed while it was not listening', async () => {
    // The test ends long before the first poll.
    const bells = await startReader({ pollIntervalMs: 10 * patiently.timeoutMs });
    await ring(bells);
    await eventually(cutListeners);
    await ring(bells);
    await eventually(() => listening().length === 1);
    await ring(bells);
  });

  it('polls while its connection for LISTEN is half-open, and then replaces it', async () => {
    // Nothing is sent over the connection without a cause.
    const bells = await startReader({ pollIntervalMs: 300, leaseMs: 3_600_000 });
    const [dead] = listening();
    dead!.swallow();
    await ring(bells);
    expect(listening()).toContain(dead);
    // Makes the process renew its leases now.
    await reader!.get(Consumers).resume('bells');
    while (listening().includes(dead!)) await ringOften(bells, 1);
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
