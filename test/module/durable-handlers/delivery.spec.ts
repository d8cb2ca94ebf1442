import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { Inject, Injectable, Scope } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { AsyncContext, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import {
  Consumers,
  currentDelivery,
  currentMetadata,
  Durable,
  EventStore,
  EventStoreModule,
  getConsumersToken,
  getEventStoreToken,
  recordOf,
} from 'nest-event-store';
import { patiently } from '../../support/eventually.ts';
import { startApplication } from '../start-application.ts';
import { Notes, order, OrderPlaced, OrderShipped, useOrders } from './use-orders.ts';

const { database, applications, newSchema, start } = useOrders();

describe('A durable handler', () => {
  it('is awaited event by event in the order of the log, and not called by the bus', async () => {
    @Durable('letters')
    @EventsHandler(OrderPlaced, OrderShipped)
    class Letters implements IEventHandler<OrderPlaced | OrderShipped> {
      constructor(readonly notes: Notes) {}

      async handle(event: OrderPlaced | OrderShipped): Promise<void> {
        this.notes.lines.push(`begin ${recordOf(event)!.position}`);
        await turn();
        this.notes.lines.push(`end ${event.constructor.name}`);
      }
    }
    const { store, consumers, notes } = await start([Letters]);
    await store.appendAll([
      { aggregate: order('1'), events: [new OrderPlaced('a'), new OrderShipped('a')] },
      { aggregate: order('2'), events: [new OrderPlaced('b')] },
    ]);
    await consumers.waitFor('letters', 3, patiently);
    expect(notes.lines).toEqual([
      'begin 1',
      'end OrderPlaced',
      'begin 2',
      'end OrderShipped',
      'begin 3',
      'end OrderPlaced',
    ]);
  });

  it('runs with the correlation of its event, and knows which delivery it is', async () => {
    const seen: unknown[] = [];

    @Durable('letters')
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly store: EventStore) {}

      async handle(placed: OrderPlaced): Promise<void> {
        await turn();
        seen.push({ ...currentMetadata() }, { ...currentDelivery() });
        await this.store.append(order('x'), [new OrderShipped(placed.item)]);
      }
    }
    const { store, consumers } = await start([Letters]);
    const { records } = await store.append(order('1'), [new OrderPlaced('lamp')], {
      metadata: { correlationId: 'request-1', actor: 'ada' },
    });
    await consumers.waitFor('letters', 1, patiently);
    const [cause] = records;
    const reaction = { correlationId: 'request-1', causationId: cause!.id };
    expect(seen).toEqual([
      reaction,
      {
        consumer: 'letters',
        generation: 1,
        replayed: false,
        attempt: 1,
        idempotencyKey: `${cause!.id} letters`,
      },
    ]);
    const shipped = await store.fetchByAggregate(order('x'));
    expect(shipped.records[0]!.metadata).toEqual(reaction);
  });

  it('appends once with the idempotency key of its delivery, however often it is tried', async () => {
    const keys: unknown[] = [];

    @Durable('letters', { retry: { delayMs: () => 10 } })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly store: EventStore) {}

      async handle({ item }: OrderPlaced): Promise<void> {
        const { idempotencyKey, attempt } = currentDelivery()!;
        keys.push(idempotencyKey);
        await this.store.append(order('all'), [new OrderShipped(item)], { idempotencyKey });
        await this.store.append(order(`sent-${item}`), [new OrderShipped(item)], {
          idempotencyKey,
        });
        if (attempt < 3) throw new Error('once more');
      }
    }
    const { store, place } = await start([Letters]);
    await place('letters', 'lamp', 'desk');
    expect(keys).toHaveLength(6);
    expect(new Set(keys).size).toBe(2);
    expect(await store.currentVersion(order('all'))).toBe(2);
    expect(await store.currentVersion(order('sent-lamp'))).toBe(1);
  });

  it('is made for each event if it is request-scoped, with an AsyncContext as REQUEST', async () => {
    const requests: unknown[] = [];

    @Injectable({ scope: Scope.REQUEST })
    class Session {
      constructor(@Inject(REQUEST) readonly request: unknown) {}
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly session: Session) {}

      handle(): void {
        requests.push(this.session.request);
      }
    }
    const { place } = await start([Session, Letters]);
    await place('letters', 'lamp', 'desk');
    expect(requests).toEqual([expect.any(AsyncContext), expect.any(AsyncContext)]);
    expect(requests[0]).not.toBe(requests[1]);
  });

  it('is made for each event if it is transient', async () => {
    @Durable('letters')
    @EventsHandler(OrderPlaced, { scope: Scope.TRANSIENT })
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(item);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual(['lamp']);
  });

  it('counts once, however many modules provide it and under whatever names', async () => {
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(item);
      }
    }
    class OtherModule {}
    const notes = new Notes();
    const application = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ schema: newSchema() }),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
        { module: OtherModule, providers: [Letters, { provide: Notes, useValue: notes }] },
      ],
      providers: [
        Letters,
        { provide: Notes, useValue: notes },
        { provide: 'alias', useExisting: Letters },
      ],
    });
    applications.push(application);
    const { position } = await application
      .get(EventStore)
      .append(order('1'), [new OrderPlaced('lamp')]);
    await application.get(Consumers).waitFor('letters', position, patiently);
    expect(notes.lines).toEqual(['lamp']);
  });

  it('is found again by the next application of the process', async () => {
    @Durable('letters', { from: 'start' })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(item);
      }
    }
    const first = await start([Letters]);
    const second = await start([Letters]);
    await first.place('letters', 'lamp');
    await second.place('letters', 'desk', 'chair');
    expect(first.notes.lines).toEqual(['lamp']);
    expect(second.notes.lines).toEqual(['desk', 'chair']);
  });

  it('follows the store it names, and no other', async () => {
    const heard: string[] = [];

    @Durable('audit', { store: 'audit' })
    @EventsHandler(OrderPlaced)
    class Audit implements IEventHandler<OrderPlaced> {
      handle({ item }: OrderPlaced): void {
        heard.push(item);
      }
    }
    const application = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ schema: newSchema() }),
        EventStoreModule.forRoot({ schema: newSchema(), store: 'audit' }),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
        EventStoreModule.forFeature({ events: [OrderPlaced] }, { store: 'audit' }),
      ],
      providers: [Audit],
    });
    applications.push(application);
    await application.get(EventStore).append(order('1'), [new OrderPlaced('lamp')]);
    const audited = application.get<EventStore>(getEventStoreToken('audit'));
    const { position } = await audited.append(order('1'), [new OrderPlaced('desk')]);
    await application
      .get<Consumers>(getConsumersToken('audit'))
      .waitFor('audit', position, patiently);
    expect(heard).toEqual(['desk']);
    expect((await application.get(Consumers).list()).consumers).toEqual([]);
  });
});
