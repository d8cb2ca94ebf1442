import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Inject, Logger, Scope, type Provider } from '@nestjs/common';
import { ModuleRef, REQUEST } from '@nestjs/core';
import {
  AggregateRoot,
  AsyncContext,
  EventBus,
  EventPublisher,
  EventsHandler,
  Saga,
  type IEventHandler,
  type IEventPublisher,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { EMPTY, type Observable } from 'rxjs';
import type { DataSource } from 'typeorm';
import {
  Aggregate,
  Consumers,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreModule,
  getAggregateRepositoryToken,
  type AggregateRepository,
} from 'nest-event-store';
import { eventually, patiently } from '../support/eventually.ts';
import { startApplication } from './start-application.ts';
import { useApplications } from './use-applications.ts';

@DomainEvent('order.placed')
class OrderPlaced {
  constructor(readonly item: string) {}
}

@DomainEvent('order.packed')
class OrderPacked {
  constructor(readonly item: string) {}
}

@DomainEvent('order.shipped')
class OrderShipped {
  constructor(readonly item: string) {}
}

@Aggregate('order')
class Order extends AggregateRoot<object> {
  constructor(readonly id: string) {
    super();
  }

  handle(item: string): this {
    this.apply(new OrderPlaced(item));
    this.apply(new OrderPacked(item));
    return this;
  }
}

const order = (id: string) => ({ type: 'order', id });

afterEach(() => void jest.restoreAllMocks());
const { database, applications, newSchema } = useApplications();

interface Started {
  readonly application: TestingModule;
  readonly dataSource: DataSource;
  readonly store: EventStore;
  readonly orders: AggregateRepository<Order>;
  readonly bus: EventBus;
  readonly merger: EventPublisher;
}

async function start(providers: Provider[] = []): Promise<Started> {
  const dataSource = await database.dataSource();
  const application = await startApplication(dataSource, {
    imports: [
      EventStoreModule.forRoot({ schema: newSchema() }),
      EventStoreModule.forFeature({
        aggregates: [Order],
        events: [OrderPlaced, OrderPacked, OrderShipped],
      }),
    ],
    providers,
  });
  applications.push(application);
  return {
    application,
    dataSource,
    store: application.get(EventStore),
    orders: application.get(getAggregateRepositoryToken(Order)),
    bus: application.get(EventBus),
    merger: application.get(EventPublisher),
  };
}

describe('A publisher of your own', () => {
  type Call = [items: string[], dispatcher?: unknown, context?: AsyncContext];
  const itemsOf = (events: readonly object[]): string[] =>
    events.map((event) => `${event.constructor.name} ${(event as OrderPlaced).item}`);

  it('gets the events of each append in one call, as from commit() of the aggregate', async () => {
    const { store, orders, bus, merger, dataSource } = await start();
    const calls: Call[] = [];
    bus.publisher = {
      publish: () => calls.push([['one by one']]),
      publishAll: (events, dispatcher, context) =>
        calls.push([itemsOf(events), dispatcher, context]),
    };
    const lamp = new Order('lamp').handle('lamp');
    await orders.save(lamp);
    const context = new AsyncContext();
    const desk = merger.mergeObjectContext(new Order('desk'), context).handle('desk');
    await orders.save(desk);
    const rug = new (merger.mergeClassContext(Order, context))('rug').handle('rug');
    await dataSource.transaction(async (manager) => {
      await orders.save(lamp.handle('shade'), { manager });
      await orders.save(rug, { manager });
      await orders.save(lamp.handle('bulb'), { manager });
      expect(calls).toHaveLength(2);
    });
    await store.append(order('mug'), [new OrderPlaced('mug'), new OrderShipped('mug')]);
    await store.appendAll([
      { aggregate: order('a'), events: [new OrderPlaced('a'), new OrderShipped('a')] },
      { aggregate: order('b'), events: [new OrderPlaced('b')] },
    ]);
    const both = (item: string): string[] => [`OrderPlaced ${item}`, `OrderPacked ${item}`];
    expect(calls).toEqual([
      [both('lamp'), lamp, undefined],
      [both('desk'), desk, context],
      [both('shade'), lamp, undefined],
      [both('rug'), rug, context],
      [both('bulb'), lamp, undefined],
      [['OrderPlaced mug', 'OrderShipped mug'], undefined, undefined],
      [['OrderPlaced a', 'OrderShipped a'], undefined, undefined],
      [['OrderPlaced b'], undefined, undefined],
    ]);
    for (const [index, [, dispatcher]] of calls.entries()) {
      expect(dispatcher).toBe([lamp, desk, lamp, rug, lamp][index]);
    }
  });

  it('gets the events one by one if it has no publishAll', async () => {
    const { orders, bus, merger } = await start();
    const calls: Call[] = [];
    bus.publisher = {
      publish: (event, dispatcher, context) => calls.push([itemsOf([event]), dispatcher, context]),
    };
    const context = new AsyncContext();
    const desk = merger.mergeObjectContext(new Order('desk'), context).handle('desk');
    await orders.save(desk);
    expect(calls).toEqual([
      [['OrderPlaced desk'], desk, context],
      [['OrderPacked desk'], desk, context],
    ]);
  });

  const refusal = new Error('refused by the publisher');
  const refuse = (): never => {
    throw refusal;
  };
  const failing: [string, IEventPublisher][] = [
    ['throws in publish', { publish: refuse }],
    ['rejects in publish', { publish: async () => refuse() }],
    ['throws in publishAll', { publish: () => undefined, publishAll: refuse }],
    ['rejects in publishAll', { publish: () => undefined, publishAll: async () => refuse() }],
    [
      'rejects in publishAll for each event',
      { publish: () => undefined, publishAll: (events) => events.map(async () => refuse()) },
    ],
  ];

  it.each(failing)('that %s fails no save, and the error is logged', async (_, publisher) => {
    const { orders, bus, store } = await start();
    bus.publisher = publisher;
    const logged = jest.spyOn(Logger.prototype, 'error');
    await orders.save(new Order('lamp').handle('lamp'));
    await eventually(() => logged.mock.calls.length > 0);
    expect(logged.mock.calls[0]).toEqual([
      expect.stringMatching(/^Publishing the event at position 1 .*failed; it is stored\.$/),
      refusal,
    ]);
    expect(await store.currentVersion(order('lamp'))).toBe(2);
  });

  it('may deliver several events at once: appends of handlers still name their event', async () => {
    @EventsHandler(OrderPlaced, OrderPacked)
    class Shipper implements IEventHandler<OrderPlaced | OrderPacked> {
      constructor(private readonly store: EventStore) {}

      async handle(event: OrderPlaced | OrderPacked): Promise<void> {
        await turn();
        await this.store.append(order(`shipped-${event.constructor.name}-${event.item}`), [
          new OrderShipped(event.item),
        ]);
      }
    }
    const { store, orders, bus } = await start([Shipper]);
    const { subject$ } = bus;
    bus.publisher = {
      publish: (event) => subject$.next(event),
      async publishAll(events) {
        for (const event of events) subject$.next(event);
      },
    };
    const { records } = await orders.save(new Order('lamp').handle('lamp'));
    bus.publisher = {
      publish: () => undefined,
      async publishAll(events) {
        await turn();
        for (const event of events) subject$.next(event);
      },
    };
    const later = await orders.save(new Order('desk').handle('desk'), {
      metadata: { correlationId: 'request-1' },
    });
    for (const cause of [...records, ...later.records]) {
      const { item } = cause.event as OrderPlaced;
      const shipped = order(`shipped-${cause.event.constructor.name}-${item}`);
      await eventually(async () => (await store.currentVersion(shipped)) === 1);
      const { records: reactions } = await store.fetchByAggregate(shipped);
      expect(reactions[0]!.metadata).toEqual({
        correlationId: item === 'desk' ? 'request-1' : cause.id,
        causationId: cause.id,
      });
    }
  });
});

describe('The AsyncContext of an aggregate', () => {
  const requests: unknown[] = [];

  @EventsHandler(OrderPlaced, { scope: Scope.REQUEST })
  class Scoped implements IEventHandler<OrderPlaced> {
    constructor(@Inject(REQUEST) readonly request: unknown) {}

    handle(event: OrderPlaced): void {
      requests.push([event.item, this.request]);
    }
  }
  const newContext = ({ application }: Started): AsyncContext => {
    const context = new AsyncContext();
    application.get(ModuleRef).registerRequestByContextId(context, context.id);
    return context;
  };
  const heard = async (count: number): Promise<unknown[]> => {
    await eventually(() => requests.length >= count);
    return requests.splice(0);
  };

  it('reaches request-scoped handlers on the bus', async () => {
    const started = await start([Scoped]);
    const { orders, merger } = started;
    const context = newContext(started);
    await orders.save(merger.mergeObjectContext(new Order('lamp'), context).handle('lamp'));
    await orders.save(new (merger.mergeClassContext(Order, context))('desk').handle('desk'));
    await orders.execute('lamp', (lamp) =>
      merger.mergeObjectContext(lamp, context).handle('shade'),
    );
    expect(await heard(3)).toEqual([
      ['lamp', context],
      ['desk', context],
      ['shade', context],
    ]);
  });

  it('is that of one caller of execute, and not of the next one', async () => {
    const started = await start([Scoped]);
    const { orders, merger } = started;
    await orders.save(new Order('lamp').handle('lamp'));
    const context = newContext(started);
    await orders.execute('lamp', (lamp) => merger.mergeObjectContext(lamp, context).handle('his'));
    await orders.execute('lamp', (lamp) => lamp.handle('hers'));
    const all = await heard(3);
    expect(all[1]).toEqual(['his', context]);
    expect(all[2]).not.toContain(context);
  });

  it('is left out for an event that cannot take it, and the event is still published', async () => {
    const started = await start([Scoped]);
    const { orders, merger } = started;
    const context = newContext(started);
    const lamp = merger.mergeObjectContext(new Order('lamp'), context);
    lamp.apply(Object.freeze(new OrderPlaced('frozen')));
    const other = newContext(started);
    const attached = new OrderPlaced('attached');
    other.attachTo(attached);
    lamp.apply(attached);
    await orders.save(lamp);
    const all = await heard(2);
    expect(all).toContainEqual(['attached', other]);
    expect(all).toContainEqual(['frozen', undefined]);
  });
});

describe('An event that is published but not stored', () => {
  @Durable('letters')
  @EventsHandler(OrderPlaced)
  class Letters implements IEventHandler<OrderPlaced> {
    readonly items: string[] = [];

    handle({ item }: OrderPlaced): void {
      this.items.push(item);
    }
  }
  class Watch {
    @Durable('watch', { events: [OrderPlaced, OrderPacked] })
    @Saga()
    watch(_events: Observable<object>): Observable<never> {
      return EMPTY;
    }
  }
  /** Not managed by the store: its commit() works as always. */
  class Basket extends AggregateRoot<object> {
    pack(): this {
      this.apply(new OrderPacked('basket'));
      return this;
    }
  }
  const warningsOf = (): unknown[] => {
    const { calls } = jest.mocked(Logger.prototype.warn).mock;
    return calls.map(([message]) => message);
  };

  it.each(['the default publisher', 'a publisher of your own'])(
    'causes one warning for each class that a durable consumer takes, with %s',
    async (which) => {
      jest.spyOn(Logger.prototype, 'warn');
      const { store, bus, merger, application } = await start([Letters, Watch]);
      if (which !== 'the default publisher') bus.publisher = { publish: () => undefined };
      const before = warningsOf().length;
      bus.publish(new OrderShipped('nobody takes it'));
      const stored = new OrderPlaced('lamp');
      await store.append(order('1'), [stored]);
      bus.publish(stored);
      expect(warningsOf().slice(before)).toEqual([]);

      bus.publish(new OrderPlaced('by hand'));
      bus.publishAll([new OrderPlaced('again'), new OrderPlaced('and again')]);
      merger.mergeObjectContext(new Basket()).pack().commit();
      expect(warningsOf().slice(before)).toEqual([
        expect.stringMatching(
          /^OrderPlaced was published .* without being stored.*: letters, watch\./,
        ),
        expect.stringMatching(/^OrderPacked was published .* without being stored.*: watch\./),
      ]);
      await application.get(Consumers).waitFor('letters', await store.currentPosition(), patiently);
      expect(application.get(Letters).items).toEqual(['lamp']);
    },
  );
});
