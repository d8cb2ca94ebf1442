import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Catch,
  ForbiddenException,
  Inject,
  Injectable,
  Module,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type ModuleMetadata,
  type NestInterceptor,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, REQUEST } from '@nestjs/core';
import {
  AsyncContext,
  CommandHandler,
  CqrsModule,
  EventsHandler,
  Saga,
  UnhandledExceptionBus,
  type ICommandHandler,
  type IEventHandler,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { concatMap, EMPTY, from, map, of, tap, throwError, type Observable } from 'rxjs';
import {
  Consumers,
  currentDelivery,
  currentMetadata,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreModule,
  getConsumersToken,
  getEventStoreToken,
  noRetry,
  On,
  Projection,
  recordOf,
  type DurableOptions,
  type EventClass,
  type EventStoreOptions,
} from 'nest-event-store';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, patiently } from '../support/eventually.ts';
import { startApplication, startBare, typeOrm } from './start-application.ts';

@DomainEvent('order.placed')
class OrderPlaced {
  constructor(readonly item: string) {}
}

@DomainEvent('order.shipped')
class OrderShipped {
  constructor(readonly item: string) {}
}

class Unregistered {}

const order = (id: string) => ({ type: 'order', id });

/** What the handlers of an application have noted, in order. */
class Notes {
  readonly lines: string[] = [];
}

class Ship {
  constructor(readonly item: string) {}
}

@CommandHandler(Ship)
class ShipHandler implements ICommandHandler<Ship> {
  constructor(
    readonly notes: Notes,
    readonly store: EventStore,
  ) {}

  async execute({ item }: Ship): Promise<void> {
    this.notes.lines.push(`ship ${item}`);
    await turn();
    if (item.startsWith('faulty') && currentDelivery()?.attempt === 1)
      throw new Error(`no ${item}`);
    await this.store.append(order(`shipped-${item}`), [new OrderShipped(item)]);
    this.notes.lines.push(`shipped ${item}`);
  }
}

let database: TestDatabase;
let applications: TestingModule[] = [];
let schemas = 0;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await Promise.all(applications.map((application) => application.close()));
  applications = [];
});
afterAll(() => database.drop());

const newSchema = (): string => `store_${(schemas += 1)}`;

interface Started {
  readonly application: TestingModule;
  readonly store: EventStore;
  readonly consumers: Consumers;
  readonly notes: Notes;
  /** Appends an order for each item and waits until the consumer has finished them. */
  place(consumer: string, ...items: string[]): Promise<void>;
}

async function start(
  providers: NonNullable<ModuleMetadata['providers']>,
  {
    events = [OrderPlaced, OrderShipped],
    ...options
  }: EventStoreOptions & { events?: EventClass[] } = {},
): Promise<Started> {
  const application = await startApplication(await database.dataSource(), {
    imports: [
      EventStoreModule.forRoot({ schema: newSchema(), ...options }),
      EventStoreModule.forFeature({ events }),
    ],
    providers: [Notes, ShipHandler, ...providers],
  });
  applications.push(application);
  const store = application.get(EventStore);
  const consumers = application.get(Consumers);
  return {
    application,
    store,
    consumers,
    notes: application.get(Notes),
    async place(consumer, ...items) {
      for (const item of items) await store.append(order(item), [new OrderPlaced(item)]);
      await consumers.waitFor(consumer, await store.currentPosition(), patiently);
    },
  };
}

const problemsOf = async (...args: Parameters<typeof start>): Promise<readonly string[]> =>
  start(...args).then(
    () => [],
    (error: { problems: readonly string[] }) => error.problems,
  );

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

  it('stores once what it appends with the idempotency key of its delivery, at every attempt', async () => {
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

describe('Around a durable handler', () => {
  const stoppedWith = async ({ consumers }: Started, name: string): Promise<string> => {
    const reason = await eventually(async () => {
      const { consumers: all } = await consumers.list();
      const stopped = all.find((each) => each.name === name && each.status === 'stopped');
      return stopped?.partitions[0]?.error?.message;
    });
    return reason ?? '';
  };

  @Injectable()
  class Noting implements NestInterceptor {
    constructor(readonly notes: Notes) {}

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      const event = context.getArgByIndex<object>(0);
      this.notes.lines.push(`${context.getType()} ${recordOf(event)!.position}`);
      return next.handle().pipe(tap(() => this.notes.lines.push('after')));
    }
  }

  it('interceptors and guards of its class and its method run', async () => {
    @Injectable()
    class Guard implements CanActivate {
      constructor(readonly notes: Notes) {}

      canActivate(context: ExecutionContext): boolean {
        this.notes.lines.push(`guard of ${context.getClass().name}`);
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseInterceptors(Noting)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      @UseGuards(Guard)
      async handle({ item }: OrderPlaced): Promise<void> {
        await turn();
        this.notes.lines.push(`handle ${item} for ${currentDelivery()?.consumer}`);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual([
      'guard of Letters',
      'event-store 1',
      'handle lamp for letters',
      'after',
    ]);
  });

  it('those of a request-scoped handler run in its context', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Guard implements CanActivate {
      constructor(
        readonly notes: Notes,
        @Inject(REQUEST) readonly request: unknown,
      ) {}

      canActivate(): boolean {
        this.notes.lines.push(`guard in ${(this.request as object).constructor.name}`);
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseGuards(Guard)
    @UseInterceptors(Noting)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(`handle ${item}`);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual(['guard in AsyncContext', 'event-store 1', 'handle lamp', 'after']);
  });

  it('a guard that refuses is a failure of the event', async () => {
    const refuse: CanActivate = { canActivate: () => false };

    @Durable('letters', { retry: noRetry })
    @EventsHandler(OrderPlaced)
    @UseGuards(refuse)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle(): void {
        this.notes.lines.push('handled');
      }
    }
    const started = await start([Letters]);
    await started.store.append(order('1'), [new OrderPlaced('lamp')]);
    expect(await stoppedWith(started, 'letters')).toContain(new ForbiddenException().name);
    expect(started.notes.lines).toEqual([]);
  });

  it('nothing runs that the application has for its requests', async () => {
    const requests: string[] = [];

    @Injectable()
    class OfRequests implements CanActivate, NestInterceptor {
      canActivate(context: ExecutionContext): boolean {
        return this.#look(context);
      }

      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        this.#look(context);
        return next.handle();
      }

      #look(context: ExecutionContext): boolean {
        requests.push(context.getType());
        return context.switchToHttp().getRequest<Request>().headers.has('authorization');
      }
    }
    @Injectable({ scope: Scope.REQUEST })
    class OfOneRequest extends OfRequests {}

    @Catch()
    class Audit implements ExceptionFilter {
      async catch(error: unknown): Promise<void> {
        await turn();
        requests.push(String(error));
      }
    }
    @Durable('letters', { retry: { delayMs: (failures) => (failures > 2 ? undefined : 1) } })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      async handle({ item }: OrderPlaced): Promise<void> {
        this.notes.lines.push(item);
        await turn();
        throw new Error(`no ${item}`);
      }
    }
    const started = await start([
      Letters,
      { provide: APP_GUARD, useClass: OfRequests },
      { provide: APP_GUARD, useClass: OfOneRequest },
      { provide: APP_INTERCEPTOR, useClass: OfRequests },
      { provide: APP_FILTER, useClass: Audit },
    ]);
    await started.store.append(order('1'), [new OrderPlaced('lamp')]);
    expect(await stoppedWith(started, 'letters')).toBe('Error: no lamp');
    expect(started.notes.lines).toEqual(['lamp', 'lamp', 'lamp']);
    expect(requests).toEqual([]);
  });

  it('a filter of its class settles the event by a value only, else the event has failed', async () => {
    const filterOf = (answer: () => unknown): ExceptionFilter => ({ catch: answer });
    const answers: [settles: boolean, answer: () => unknown][] = [
      [true, () => 'noted'],
      [true, async () => false],
      [true, () => of(0)],
      [false, () => undefined],
      [false, async () => turn()],
      [false, async () => null],
      [false, () => EMPTY],
      [false, () => throwError(() => new Error('from the filter'))],
    ];
    const handlers = answers.map(([, answer], index) => {
      @Durable(`letters-${index}`, { retry: noRetry, onFailure: 'park' })
      @EventsHandler(OrderPlaced)
      @UseFilters(filterOf(answer))
      class Letters implements IEventHandler<OrderPlaced> {
        handle(): void {
          throw new Error('from the handler');
        }
      }
      return Letters;
    });
    const { store, consumers } = await start(handlers);
    const { position } = await store.append(order('1'), [new OrderPlaced('lamp')]);
    for (const [index, [settles, answer]] of answers.entries()) {
      await consumers.waitFor(`letters-${index}`, position, patiently);
      const parked = await consumers.parked(`letters-${index}`);
      expect([String(answer), parked.length]).toEqual([String(answer), settles ? 0 : 1]);
    }
  });

  it('a guard that is made for each of its hosts runs', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Guard implements CanActivate {
      constructor(readonly notes: Notes) {}

      canActivate(): boolean {
        this.notes.lines.push('guarded');
        return true;
      }
    }
    @Durable('letters')
    @EventsHandler(OrderPlaced)
    @UseGuards(Guard)
    class Letters implements IEventHandler<OrderPlaced> {
      constructor(readonly notes: Notes) {}

      handle({ item }: OrderPlaced): void {
        this.notes.lines.push(item);
      }
    }
    const { place, notes } = await start([Letters]);
    await place('letters', 'lamp');
    expect(notes.lines).toEqual(['guarded', 'lamp']);
  });
});

describe('What a durable handler or a saga throws', () => {
  const settings = { retry: { delayMs: (failures: number) => (failures > 1 ? undefined : 1) } };

  it('goes to the UnhandledExceptionBus at every attempt, with its cause', async () => {
    const lamp = new Error('no lamp');
    const chair = new Error('no chair');

    @Durable('letters', { ...settings, onFailure: 'skip' })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      async handle({ item }: OrderPlaced): Promise<void> {
        await turn();
        if (item === 'lamp') throw lamp;
      }
    }
    @Injectable()
    class Orders {
      @Durable('shipping', { ...settings, events: [OrderPlaced], onFailure: 'skip' })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          map(({ item }) => {
            if (item === 'chair') throw chair;
            return new Ship(item === 'desk' ? 'faulty desk' : item);
          }),
        );
      }
    }
    const { application, place, consumers, store } = await start([Letters, Orders]);
    const infos: unknown[] = [];
    application.get(UnhandledExceptionBus).subscribe((info) => infos.push(info));
    await place('letters', 'lamp', 'desk', 'chair');
    await consumers.waitFor('shipping', await store.currentPosition(), patiently);
    const failed = (cause: object, exception: Error) => ({ cause, exception });
    expect(infos).toHaveLength(5);
    expect(infos).toEqual(
      expect.arrayContaining([
        failed(new OrderPlaced('lamp'), lamp),
        failed(new Ship('faulty desk'), new Error('no faulty desk')),
        failed(new OrderPlaced('chair'), chair),
      ]),
    );
  });

  it('is a failure like any other if the UnhandledExceptionBus fails as well', async () => {
    @Durable('letters', { retry: noRetry, onFailure: 'park' })
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      handle(): void {
        throw new Error('from the handler');
      }
    }
    const { application, place, consumers } = await start([Letters]);
    application.get(UnhandledExceptionBus).publisher = {
      publish: ({ cause }) => {
        const error = new Error('from the publisher');
        if ((cause as OrderPlaced).item === 'lamp') throw error;
        return Promise.reject(error);
      },
    };
    await place('letters', 'lamp', 'desk');
    const parked = await consumers.parked('letters');
    expect(parked.map(({ failure }) => failure.message)).toEqual([
      'Error: from the handler',
      'Error: from the handler',
    ]);
  });

  it('is asked of the policy and stored, even if it cannot be read', async () => {
    const revoked = Proxy.revocable(new Error(), {});
    revoked.revoke();
    const without = (member: string, value?: unknown): Error =>
      Object.defineProperty(new Error('unreadable'), member, {
        get: () => {
          if (value !== undefined) return value;
          throw new Error('thrown by a getter');
        },
      });
    const uninspectable = Object.assign(new Error('uninspectable'), {
      [inspect.custom]: () => {
        throw new Error('thrown while it is inspected');
      },
    });
    const thrown: [unknown, string][] = [
      [Object.create(null), 'Error: [object Object]'],
      [Symbol('odd'), 'Error: Symbol(odd)'],
      [undefined, 'Error: undefined'],
      [null, 'Error: null'],
      ['text', 'Error: text'],
      [{ name: 'Refused', message: 'no' }, 'Refused: no'],
      [revoked.proxy, 'Error: a value that cannot be read'],
      [without('message'), 'Error: [object Error]'],
      [without('message', Symbol('odd')), 'Error: [object Error]'],
      [without('name'), 'Error: unreadable'],
      [without('toString'), 'Error: unreadable'],
      [without('code'), 'Error: unreadable'],
      [without('stack'), 'Error: unreadable'],
      [uninspectable, 'Error: uninspectable'],
    ];
    const asked: number[] = [];
    const options: DurableOptions = {
      onFailure: 'park',
      retry: {
        delayMs: (failures) => {
          asked.push(failures);
          return failures > 1 ? undefined : 1;
        },
      },
    };
    @Durable('letters', options)
    @EventsHandler(OrderPlaced)
    class Letters implements IEventHandler<OrderPlaced> {
      handle({ item }: OrderPlaced): void {
        throw thrown[Number(item)]![0];
      }
    }
    @Projection('read-model', options)
    class ReadModel {
      @On(OrderPlaced)
      placed({ item }: OrderPlaced): void {
        throw thrown[Number(item)]![0];
      }
    }
    const { place, consumers, store } = await start([Letters, ReadModel]);
    await place('letters', ...Object.keys(thrown));
    await consumers.waitFor('read-model', await store.currentPosition(), patiently);
    for (const name of ['letters', 'read-model']) {
      const parked = await consumers.parked(name);
      expect(parked.map(({ failure }) => failure.message)).toEqual(
        thrown.map(([, message]) => message),
      );
    }
    expect(asked.filter((failures) => failures === 2)).toHaveLength(2 * thrown.length);
  });
});

describe('A durable saga', () => {
  it('has its commands executed in order, each awaited, as reactions to the event', async () => {
    @Injectable()
    class Orders {
      @Saga()
      @Durable('shipping', { events: [OrderPlaced] })
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }) => from([new Ship(`${item} 1`), new Ship(`${item} 2`)])),
        );
      }
    }
    const { place, notes, store } = await start([Orders]);
    await place('shipping', 'lamp', 'desk');
    expect(notes.lines).toEqual(
      ['lamp 1', 'lamp 2', 'desk 1', 'desk 2'].flatMap((item) => [
        `ship ${item}`,
        `shipped ${item}`,
      ]),
    );
    const placed = await store.fetchByAggregate(order('lamp'));
    const shipped = await store.fetchByAggregate(order('shipped-lamp 2'));
    expect(shipped.records[0]!.metadata.causationId).toBe(placed.records[0]!.id);
  });

  it('sees all events of the store unless it names some, and need not react', async () => {
    @Injectable()
    class Orders {
      constructor(readonly notes: Notes) {}

      @Durable('watch')
      @Saga()
      watch = (events: Observable<object>): Observable<Ship> =>
        events.pipe(
          tap((event) => this.notes.lines.push(event.constructor.name)),
          concatMap(() => EMPTY),
        );
    }
    const { store, consumers, notes } = await start([Orders]);
    await store.append(order('1'), [new OrderPlaced('lamp'), new OrderShipped('lamp')]);
    await consumers.waitFor('watch', 2, patiently);
    expect(notes.lines).toEqual(['OrderPlaced', 'OrderShipped']);
  });

  it('fails with its command, and is tried again from the event', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping', {
        events: [OrderPlaced],
        retry: { delayMs: (failures) => (failures > 1 ? undefined : 1) },
      })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }) => from([new Ship(`faulty ${item}`), new Ship(item)])),
        );
      }
    }
    const { place, notes } = await start([Orders]);
    await place('shipping', 'lamp');
    expect(notes.lines).toEqual([
      'ship faulty lamp',
      'ship faulty lamp',
      'shipped faulty lamp',
      'ship lamp',
      'shipped lamp',
    ]);
  });

  it('executes nothing if its observable fails, or if it returns none', async () => {
    const options = { events: [OrderPlaced], retry: noRetry, onFailure: 'skip' } as const;

    @Injectable()
    class Orders {
      @Durable('failing', options)
      @Saga()
      failing(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(
          concatMap(({ item }, index) => (index === 0 ? from([new Ship(item)]) : EMPTY)),
          (ships) =>
            from([ships, throwError(() => new Error('no more'))]).pipe(concatMap((each) => each)),
        );
      }

      @Durable('returning-nothing', { ...options, onFailure: 'stop' })
      @Saga()
      returningNothing(): void {}
    }
    const { place, notes, consumers } = await start([Orders]);
    await place('failing', 'lamp');
    expect(notes.lines).toEqual([]);
    const reason = await eventually(async () => {
      const { consumers: all } = await consumers.list();
      return all.find(({ name }) => name === 'returning-nothing')?.partitions[0]?.error?.message;
    });
    expect(reason).toContain('InvalidSagaError: The saga Orders.returningNothing');
  });

  it('is not on the bus, where the other sagas of its class stay', async () => {
    @Injectable()
    class Orders {
      constructor(readonly notes: Notes) {}

      @Durable('durable')
      @Saga()
      durable(events: Observable<object>): Observable<Ship> {
        return this.#note('durable', events);
      }

      @Saga()
      volatile(events: Observable<object>): Observable<Ship> {
        return this.#note('volatile', events);
      }

      #note(saga: string, events: Observable<object>): Observable<Ship> {
        return events.pipe(
          tap(() => this.notes.lines.push(saga)),
          concatMap(() => EMPTY),
        );
      }
    }
    const { place, notes } = await start([Orders]);
    await place('durable', 'lamp');
    expect(notes.lines.sort()).toEqual(['durable', 'volatile']);
  });

  it('finds the handlers of its commands also for what was appended before the start', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping', { events: [OrderPlaced], from: 'start', retry: noRetry })
      @Saga()
      placed(events: Observable<OrderPlaced>): Observable<Ship> {
        return events.pipe(map(({ item }) => new Ship(item)));
      }
    }
    let warmUp!: () => void;
    const warm = new Promise<void>((resolve) => (warmUp = resolve));

    @Injectable()
    class Warming implements OnApplicationBootstrap {
      async onApplicationBootstrap(): Promise<void> {
        await warm;
      }
    }
    @Module({ providers: [Warming] })
    class WarmingModule {}

    // Nest begins with the modules that are imported deepest: before CqrsModule, this one.
    @Module({ imports: [WarmingModule] })
    class DeepModule {}

    // Projections do not wait: it tells how far the runners of the application are.
    @Projection('runner')
    class RunnerProbe {
      @On(OrderPlaced)
      placed(): void {}
    }
    const schema = newSchema();
    const before = await start([], { schema });
    await before.store.append(order('1'), [new OrderPlaced('lamp')]);
    const starting = startBare({
      imports: [
        EventStoreModule.forRoot({ schema }),
        EventStoreModule.forFeature({ events: [OrderPlaced, OrderShipped] }),
        typeOrm(await database.dataSource()),
        DeepModule,
        CqrsModule,
      ],
      providers: [Notes, ShipHandler, Orders, RunnerProbe],
    });
    await eventually(async () => {
      await before.consumers.waitFor('runner', 1, patiently);
      return true;
    });
    warmUp();
    const application = await starting;
    applications.push(application);
    await application.get(Consumers).waitFor('shipping', 1, patiently);
    expect(application.get(Notes).lines).toEqual(['ship lamp', 'shipped lamp']);
  });
});

describe('At boot', () => {
  it('all problems of all consumers are reported together, each with its remedy', async () => {
    @Durable('same')
    @EventsHandler(OrderPlaced)
    class First {
      handle(): void {}
    }
    @Durable('same', { batchSze: 1 } as DurableOptions)
    @EventsHandler(Unregistered)
    class Second {
      handle(): void {}
    }
    @Durable(' ')
    @EventsHandler(OrderPlaced)
    class Blank {
      handle(): void {}
    }
    @Durable('no-handler')
    class NoHandler {}

    @Durable('other-store', { store: 'elsewhere' })
    @EventsHandler(OrderPlaced)
    class Elsewhere {
      handle(): void {}
    }
    @Durable('with-events', { events: [OrderPlaced] })
    @EventsHandler(OrderPlaced)
    class WithEvents {
      handle(): void {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      @Durable('scoped')
      @Saga()
      saga(): void {}

      @Durable('no-saga')
      noSaga(): void {}
    }
    @Projection('scoped-projection')
    @Injectable({ scope: Scope.REQUEST })
    class ScopedProjection {
      @On(OrderPlaced)
      placed(): void {}
    }
    const problems = await problemsOf([
      First,
      Second,
      Blank,
      NoHandler,
      Elsewhere,
      WithEvents,
      Scoped,
      ScopedProjection,
    ]);
    expect(problems).toEqual([
      expect.stringContaining("did you mean 'batchSize'?"),
      expect.stringContaining("@Durable('no-handler') on NoHandler finds no @EventsHandler"),
      expect.stringContaining("follows the store 'elsewhere', which does not exist"),
      expect.stringContaining('on WithEvents has `events`'),
      expect.stringContaining("@Durable('scoped') on Scoped.saga belongs to a class"),
      expect.stringContaining("@Durable('no-saga') on Scoped.noSaga finds no @Saga()"),
      expect.stringContaining("@Projection('scoped-projection'): ScopedProjection is transient"),
      expect.stringContaining("'same' is used by First and by Second"),
      expect.stringContaining("'same' takes Unregistered, which is not registered"),
      expect.stringContaining("' ' on Blank must be well-formed text of 1 to 255 bytes"),
    ]);
  });

  it('a class that inherits what is durable in its parent only is refused', async () => {
    @Durable('parent')
    @EventsHandler(OrderPlaced)
    class Parent {
      handle(): void {}

      @Durable('saga')
      @Saga()
      saga(events: Observable<object>): Observable<Ship> {
        return events.pipe(concatMap(() => EMPTY));
      }
    }
    class Heir extends Parent {}

    @Durable('decided')
    class Decided extends Parent {
      @Durable('own-saga')
      override saga(events: Observable<object>): Observable<Ship> {
        return super.saga(events);
      }
    }
    expect(await problemsOf([Parent, Heir, Decided])).toEqual([
      expect.stringContaining("Heir inherits the saga saga that is durable in Parent as 'saga'"),
      expect.stringContaining(
        "Heir inherits an @EventsHandler that is durable in Parent as 'parent'",
      ),
    ]);
    expect(await problemsOf([Parent, Decided])).toEqual([]);
  });

  it('a saga needs a CommandBus', async () => {
    @Injectable()
    class Orders {
      @Durable('shipping')
      @Saga()
      placed(events: Observable<object>): Observable<Ship> {
        return events.pipe(concatMap(() => EMPTY));
      }
    }
    const starting = startBare({
      imports: [
        typeOrm(await database.dataSource()),
        EventStoreModule.forRoot({ schema: newSchema(), eventBus: 'off' }),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
      ],
      providers: [Orders],
    });
    await expect(starting).rejects.toMatchObject({
      problems: [expect.stringContaining('on Orders.placed finds no CommandBus')],
    });
  });
});
