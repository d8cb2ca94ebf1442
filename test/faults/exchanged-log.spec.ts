import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import { DataSource as NewDataSource } from 'typeorm';
import { EventStoreModule, recordOf } from 'nest-event-store';
import { consumer, startConsumers, type TestProcess } from '../support/consumers.ts';
import { eventually } from '../support/eventually.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { startApplication } from '../module/start-application.ts';

/** The ids of the events that the EventBus delivered, in order. */
let heard: string[] = [];

@EventsHandler(Counted)
class Ear implements IEventHandler<Counted> {
  handle(event: Counted): void {
    heard.push(recordOf(event)!.id);
  }
}

describe('a log that loses events which processes have already read', () => {
  let server: OwnServer;
  let dataSource: DataSource;
  let store: TestStore;
  let process: TestProcess;
  let application: TestingModule | undefined;
  /** The ids of the events that the handler was called with. */
  let effects: string[];
  let schemas = 0;

  const connect = async (): Promise<DataSource> => {
    const opened = new NewDataSource({
      type: 'postgres',
      url: server.url,
      installExtensions: false,
      extra: { max: 15 },
    });
    return opened.initialize();
  };

  beforeAll(async () => {
    server = await startOwnServer();
  });
  afterEach(async () => {
    await process.stop();
    await application?.close();
    application = undefined;
    await dataSource.destroy();
  });
  afterAll(() => server.stop());

  /** Appends one event to one of a few aggregates, even while the server is coming back. */
  const append = async (by: number): Promise<string> => {
    const aggregate = { type: 'counter', id: `a-${by % 3}` };
    const { records } = await eventually(() => store.append(aggregate, [new Counted(by)]));
    return records[0]!.id;
  };
  const appendAll = async (from: number, to: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let by = from; by <= to; by++) ids.push(await append(by));
    return ids;
  };
  const readModel = async (): Promise<string[]> => {
    const rows: { id: string }[] = await dataSource.query(
      `SELECT id FROM "${store.schema}".seen ORDER BY n`,
    );
    return rows.map(({ id }) => id);
  };
  const states = async () => (await process.control.list()).consumers;
  const reached = (name: string): Promise<void> =>
    eventually(async () => {
      const position = await store.currentPosition();
      return (await states()).some((each) => each.name === name && each.position === position);
    }).then(() => undefined);

  /** Starts a projection and a handler, which read `before` events, and keeps a copy of the data. */
  async function prepare(pollIntervalMs: number): Promise<string[]> {
    dataSource = await connect();
    store = await openStore(dataSource, { schema: `exchanged_${++schemas}` });
    const { schema } = store;
    await dataSource.query(`CREATE TABLE "${schema}".seen (n bigserial, id uuid)`);
    effects = [];
    process = await startConsumers(
      dataSource,
      store,
      [
        consumer('table', async (records, _, manager) => {
          const ids = records.map(({ id }) => id);
          await manager!.query(
            `INSERT INTO "${schema}".seen (id) SELECT * FROM unnest($1::uuid[])`,
            [ids],
          );
        }),
        consumer('letters', async ([record]) => void effects.push(record!.id), { kind: 'handler' }),
      ],
      { pollIntervalMs },
    );
    const kept = await appendAll(1, 95);
    await reached('table');
    await reached('letters');
    await server.keepCopy();
    return kept;
  }

  const stopped = (): Promise<unknown> =>
    eventually(async () => {
      const all = await states();
      const errors = all.map(({ partitions }) => partitions[0]!.error?.message ?? '');
      return all.every(
        ({ status }, n) => status === 'stopped' && errors[n]!.startsWith('HistoryDivergedError'),
      );
    });

  it.each([
    ['is as long again, with other events', 10, 50],
    ['is as long again, without any poll', 10, 60_000],
    ['is longer', 200, 50],
    ['is shorter', 2, 50],
    ['has no new event', 0, 50],
  ])('stops every consumer that has read lost events, if the log %s', async (_, more, poll) => {
    const kept = await prepare(poll);
    const lost = await appendAll(96, 100);
    await reached('table');
    await reached('letters');
    await server.goBack();
    const real = await appendAll(1_001, 1_000 + more);
    await stopped();
    expect(await readModel()).toEqual(kept);
    expect(effects).toEqual([...kept, ...lost]);

    // Read model and checkpoint went back together, so both continue after the last common event.
    await process.control.resume('table');
    await process.control.resume('letters');
    real.push(await append(9_999));
    await reached('table');
    await reached('letters');
    expect(await readModel()).toEqual([...kept, ...real]);
    expect(effects).toEqual([...kept, ...lost, ...real]);
    tally('F25', { lost: 0, doubled: 0, skipped: 0 });
  });

  it("continues the EventBus of 'all' after the common part, with one message per outage", async () => {
    const kept = await prepare(50);
    heard = [];
    application = await startApplication(await connect(), {
      imports: [
        EventStoreModule.forRoot({
          schema: store.schema,
          eventBus: 'all',
          pollIntervalMs: 50,
        }),
        EventStoreModule.forFeature({ events: [Counted] }),
      ],
      providers: [Ear],
    });
    const errors = jest.spyOn(Logger.prototype, 'error');
    const warnings = jest.spyOn(Logger.prototype, 'warn');
    const lost = await appendAll(96, 100);
    await eventually(() => heard.length === 5);
    await server.goDown('stopped');
    await eventually(() => errors.mock.calls.length > 0);
    await delay(500);
    await server.goBack();
    const real = await appendAll(1_001, 1_043);
    await eventually(() => heard.length >= 5 + 43);
    expect(heard).toEqual([...lost, ...real]);
    const messages = (calls: typeof errors): unknown[] => calls.mock.calls.map(([first]) => first);
    expect(messages(errors)).toEqual(['The log could not be read for the EventBus; trying again.']);
    expect(messages(warnings)).toEqual([
      expect.stringContaining('no longer holds the event at position 100, which was published'),
    ]);
    expect(kept).toHaveLength(95);
  });
});
