import { describe, expect, it } from '@jest/globals';
import {
  Global,
  Injectable,
  Module,
  type OnModuleInit,
  type Provider,
  type Type,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, LazyModuleLoader } from '@nestjs/core';
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  Saga,
  UnhandledExceptionBus,
  type ICommandHandler,
  type IEventHandler,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { map, type Observable } from 'rxjs';
import {
  Consumers,
  DomainEvent,
  Durable,
  EventStore,
  EventStoreModule,
  On,
  Projection,
  recordOf,
  type EventStoreOptions,
} from 'nest-event-store';
import { EventStoreTestingModule } from 'nest-event-store/testing';
import { eventually, patiently } from '../support/eventually.ts';
import { startBare, typeOrm } from './start-application.ts';
import { useApplications } from './use-applications.ts';

@DomainEvent('order.placed')
class OrderPlaced {
  constructor(readonly item: string) {}
}

const order = (id: string) => ({ type: 'order', id });

const { database, applications, newSchema } = useApplications();

async function start(
  modules: Type[],
  providers: Provider[],
  options: EventStoreOptions = { schema: newSchema() },
): Promise<TestingModule> {
  const application = await startBare({
    imports: [
      ...modules,
      typeOrm(await database.dataSource()),
      EventStoreModule.forRoot(options),
      EventStoreModule.forFeature({ events: [OrderPlaced] }),
      CqrsModule.forRoot(),
    ],
    providers,
  });
  applications.push(application);
  return application;
}

const seed = (store: EventStore, item: string): Promise<unknown> =>
  store.append(order(item), [new OrderPlaced(item)]);

@Injectable()
class Seeds implements OnModuleInit {
  constructor(readonly store: EventStore) {}

  async onModuleInit(): Promise<void> {
    await seed(this.store, 'in a module');
  }
}

@Module({ providers: [Seeds] })
class SeedsModule {}

@Injectable()
class GlobalSeeds implements OnModuleInit {
  constructor(readonly store: EventStore) {}

  async onModuleInit(): Promise<void> {
    await seed(this.store, 'in a global module');
  }
}

// Imported before the store's own module, so it is initialized first.
@Global()
@Module({ providers: [GlobalSeeds] })
class GlobalSeedsModule {}

const seeds = [GlobalSeedsModule, SeedsModule];
const seeded = ['in a global module', 'in a module'];

describe('What modules append while the application starts', () => {
  class Letter {
    constructor(readonly item: string) {}
  }
  const letters: string[] = [];

  @CommandHandler(Letter)
  class LetterHandler implements ICommandHandler<Letter> {
    async execute({ item }: Letter): Promise<void> {
      letters.push(item);
    }
  }

  @EventsHandler(OrderPlaced)
  class Listener implements IEventHandler<OrderPlaced> {
    readonly items: string[] = [];

    handle(event: OrderPlaced): void {
      this.items.push(event.item);
    }
  }
  class Orders {
    @Saga()
    placed(events: Observable<OrderPlaced>): Observable<Letter> {
      return events.pipe(map(({ item }) => new Letter(item)));
    }
  }

  it.each(['own', 'all'] as const)(
    "reaches the handlers and sagas on the bus, once and in order ('%s')",
    async (eventBus) => {
      letters.length = 0;
      const options = { schema: newSchema(), eventBus, pollIntervalMs: 20 };
      const application = await start(seeds, [Listener, Orders, LetterHandler], options);
      const { items } = application.get(Listener);
      await seed(application.get(EventStore), 'later');
      await eventually(() => letters.length === 3);
      expect(items).toEqual([...seeded, 'later']);
      expect(letters).toEqual([...seeded, 'later']);
    },
  );

  it('reaches handlers that the application binds to a bus of its own making', async () => {
    @Module({})
    class BusModule implements OnModuleInit {
      constructor(
        readonly bus: EventBus,
        readonly discovery: DiscoveryService,
      ) {}

      onModuleInit(): void {
        const handlers = this.discovery.getProviders().filter(({ name }) => name === Listener.name);
        this.bus.register(handlers as Parameters<EventBus['register']>[0]);
      }
    }
    const application = await startBare({
      imports: [
        SeedsModule,
        EventStoreTestingModule.forRoot(),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
        {
          module: BusModule,
          imports: [DiscoveryModule],
          providers: [EventBus, CommandBus, UnhandledExceptionBus],
        },
      ],
      providers: [Listener],
    });
    applications.push(application);
    expect(application.get(Listener).items).toEqual(['in a module']);
  });

  it('reaches the bus of a store in memory as well', async () => {
    const application = await startBare({
      imports: [
        GlobalSeedsModule,
        EventStoreTestingModule.forRoot(),
        EventStoreModule.forFeature({ events: [OrderPlaced] }),
        CqrsModule.forRoot(),
      ],
      providers: [Listener],
    });
    applications.push(application);
    expect(application.get(Listener).items).toEqual(['in a global module']);
  });

  @Durable('letters')
  @EventsHandler(OrderPlaced)
  class Letters implements IEventHandler<OrderPlaced> {
    readonly items: string[] = [];

    handle(event: OrderPlaced): void {
      this.items.push(`${recordOf(event)?.position} ${event.item}`);
    }
  }
  const itemsOf = async (application: TestingModule): Promise<readonly string[]> => {
    const position = await application.get(EventStore).currentPosition();
    await application.get(Consumers).waitFor('letters', position, patiently);
    return application.get(Letters).items;
  };

  it("reaches a new consumer that begins with 'now', and nothing older does", async () => {
    const schema = newSchema();
    const before = await start([], [], { schema });
    await seed(before.get(EventStore), 'before');
    const first = await start(seeds, [Letters], { schema });
    expect(await itemsOf(first)).toEqual(seeded.map((item, index) => `${index + 2} ${item}`));
    await first.close();
    const second = await start(seeds, [Letters], { schema });
    expect(await itemsOf(second)).toEqual(seeded.map((item, index) => `${index + 4} ${item}`));
  });

  it('is applied by inline projections once modules are initialized', async () => {
    const applied: string[] = [];

    @Projection('orders', { mode: 'inline' })
    class Inline {
      @On(OrderPlaced)
      placed({ item }: OrderPlaced): void {
        applied.push(item);
      }
    }
    const schema = newSchema();
    const first = await start([], [Inline], { schema });
    await first.close();
    await start([SeedsModule], [Inline], { schema });
    expect(applied).toEqual(['in a module']);
  });
});

describe('A module that is loaded lazily', () => {
  @Durable('letters')
  @EventsHandler(OrderPlaced)
  class Letters implements IEventHandler<OrderPlaced> {
    handle(): void {}
  }
  class Watch {
    @Durable('watch')
    @Saga()
    watch = (events: Observable<object>): Observable<object> => events;
  }
  @Projection('read-model')
  class ReadModel {
    @On(OrderPlaced)
    placed(): void {}
  }
  @Module({ providers: [Letters, Watch, ReadModel] })
  class LazyModule {}

  it('is refused with the consumers that it brings', async () => {
    const application = await start([], []);
    const loading = application.get(LazyModuleLoader).load(() => LazyModule);
    await expect(loading).rejects.toMatchObject({
      code: 'EVENT_STORE_CONFIGURATION',
      problems: [
        expect.stringContaining(
          "The consumer 'letters' on Letters came with a module that was loaded",
        ),
        expect.stringContaining("The consumer 'watch' on Watch came"),
        expect.stringContaining("The consumer 'read-model' on ReadModel came"),
      ],
    });
  });

  it('is refused whenever it is loaded, and other modules are not', async () => {
    @Module({})
    class PlainModule {}

    const application = await start([], []);
    const loader = application.get(LazyModuleLoader);
    const refusal = { code: 'EVENT_STORE_CONFIGURATION' };
    await expect(loader.load(() => LazyModule)).rejects.toMatchObject(refusal);
    await loader.load(() => PlainModule);
    await expect(loader.load(() => LazyModule)).rejects.toMatchObject(refusal);
  });

  it('is refused with what is wrong with the classes that it registers', async () => {
    @DomainEvent('order.placed')
    class Twin {}

    const application = await start([], []);
    const feature = EventStoreModule.forFeature({ events: [Twin] });
    const loading = application.get(LazyModuleLoader).load(() => feature);
    await expect(loading).rejects.toMatchObject({
      problems: [expect.stringContaining("'order.placed'")],
    });
  });

  it('is accepted if autoStart leaves its consumers out anyway', async () => {
    const options = { schema: newSchema(), autoStart: ['letters'] };
    const application = await start([], [Letters], options);
    await application.get(LazyModuleLoader).load(() => LazyModule);
  });

  it('is accepted if it brings no consumers, or only those that already run', async () => {
    @Injectable()
    class Plain {}

    @Module({ providers: [Plain, Letters] })
    class PlainModule {}

    const application = await start([], [Letters]);
    const loaded = await application.get(LazyModuleLoader).load(() => PlainModule);
    expect(loaded.get(Plain)).toBeInstanceOf(Plain);
  });

  it('brings its consumers in time if it is loaded before the store is initialized', async () => {
    @Module({
      providers: [
        {
          provide: 'loaded',
          inject: [LazyModuleLoader],
          useFactory: (loader: LazyModuleLoader) => loader.load(() => LazyModule),
        },
      ],
    })
    class EagerModule {}

    const application = await start([EagerModule], []);
    const { consumers } = await application.get(Consumers).list();
    expect(consumers.map(({ name }) => name).toSorted()).toEqual([
      'letters',
      'read-model',
      'watch',
    ]);
  });
});
