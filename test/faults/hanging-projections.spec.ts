import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { TestingModule } from '@nestjs/testing';
import type { DataSource } from 'typeorm';
import {
  Consumers,
  DomainEvent,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  exponentialBackoff,
  type EventRecord,
  type ProjectionContext,
} from 'nest-event-store';
import { startApplication } from '../module/start-application.ts';
import { patiently } from '../support/eventually.ts';
import { tally } from '../support/tally.ts';
import { useDatabase } from '../support/use-store.ts';

@DomainEvent('meter.read')
class MeterRead {
  constructor(readonly steps: number) {}
}

const timeoutMs = 200;
const meter = { type: 'meter', id: '1' };
const release: (() => void)[] = [];

/** Writes step by step; the first attempt keeps writing long after its time is over. */
async function writeSteps(event: MeterRead, { consumer, manager, attempt }: ProjectionContext) {
  const steps = attempt === 1 ? event.steps : 1;
  try {
    for (let step = 0; step < steps; step++) {
      await manager.query('SELECT pg_sleep(0.02)');
      await manager.query('INSERT INTO steps (consumer, attempt) VALUES ($1, $2)', [
        consumer,
        attempt,
      ]);
    }
  } finally {
    for (const resolve of release.splice(0)) resolve();
  }
}

/** Resolves when a handler has ended, even if its attempt was given up. */
const handlerEnded = () => new Promise<void>((resolve) => release.push(resolve));

// Any attempt may take too long on a machine that is busy.
@Projection('followed', {
  timeoutMs,
  retry: exponentialBackoff({ retries: 1_000, maxDelayMs: 500 }),
})
class Followed {
  @On(MeterRead)
  async read(event: MeterRead, _: EventRecord, context: ProjectionContext): Promise<void> {
    await writeSteps(event, context);
  }
}

@Projection('inlined', { mode: 'inline', timeoutMs, aggregateTypes: ['inline-meter'] })
class Inlined {
  @On(MeterRead)
  async read(event: MeterRead, _: EventRecord, context: ProjectionContext): Promise<void> {
    await writeSteps(event, context);
  }
}

const database = useDatabase();

describe('a projection that keeps writing after its time is over', () => {
  let dataSource: DataSource;
  let application: TestingModule;
  let store: EventStore;

  beforeAll(async () => {
    dataSource = await database.dataSource();
    await dataSource.query('CREATE TABLE steps (consumer text, attempt integer)');
    application = await startApplication(dataSource, {
      imports: [EventStoreModule.forRoot(), EventStoreModule.forFeature({ events: [MeterRead] })],
      providers: [Followed, Inlined],
    });
    store = application.get(EventStore);
  });
  beforeEach(() => dataSource.query('TRUNCATE steps'));
  afterAll(async () => {
    await application.close();
  });

  it('leaves nothing of the attempt that was given up', async () => {
    const ended = handlerEnded();
    const { position } = await store.append(meter, [new MeterRead(1_000)]);
    await ended;
    await application.get(Consumers).waitFor('followed', position, patiently);
    const steps = await dataSource.query(`SELECT consumer, attempt > 1 AS again FROM steps`);
    expect(steps).toEqual([{ consumer: 'followed', again: true }]);
    tally('F16', { acknowledged: 1 });
  });

  it('leaves nothing in the transaction of a caller that continues without the append', async () => {
    const ended = handlerEnded();
    await dataSource.transaction(async (manager) => {
      const events = [new MeterRead(1_000)];
      const append = store.append({ type: 'inline-meter', id: '1' }, events, { manager });
      await expect(append).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' });
      await ended;
      await manager.query(`INSERT INTO steps (consumer) VALUES ('caller')`);
    });
    expect(await dataSource.query('SELECT consumer FROM steps')).toEqual([{ consumer: 'caller' }]);
    expect(await store.currentVersion({ type: 'inline-meter', id: '1' })).toBe(0);
  });
});
