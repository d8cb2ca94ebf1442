import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Injectable, Logger, type ModuleMetadata } from '@nestjs/common';
import {
  CommandBus,
  CommandHandler,
  EventBus,
  EventsHandler,
  ofType,
  Saga,
  UnhandledExceptionBus,
  type ICommandHandler,
  type IEventHandler,
} from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { map, type Observable } from 'rxjs';
import type { DataSource, EntityManager } from 'typeorm';
import {
  currentMetadata,
  DomainEvent,
  EventData,
  EventStore,
  EventStoreModule,
  recordOf,
  runWithMetadata,
  type EventClass,
  type EventRecord,
  type EventStoreOptions,
} from 'nest-event-store';
import type { LogReader } from '../../lib/store/reading/log-reader.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startApplication } from './start-application.ts';

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

const order = (id: string) => ({ type: 'order', id });

/** What the handlers of an application have heard, in order. */
class Heard {
  readonly events: object[] = [];

  get items(): string[] {
    return this.events.map((event) => (event as OrderPlaced).item);
  }

  get positions(): (number | undefined)[] {
    return this.events.map((event) => recordOf(event)?.position);
  }
}

@EventsHandler(OrderPlaced, OrderPacked, OrderShipped)
class Listener implements IEventHandler {
  constructor(readonly heard: Heard) {}

  handle(event: object): void {
    this.heard.events.push(event);
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
  readonly dataSource: DataSource;
  readonly store: EventStore;
  readonly heard: Heard;
}

async function start(
  options: EventStoreOptions,
  {
    events = [OrderPlaced, OrderPacked, OrderShipped],
    providers = [],
  }: { events?: EventClass[] } & Pick<ModuleMetadata, 'providers'> = {},
): Promise<Started> {
  const dataSource = await database.dataSource();
  const application = await startApplication(dataSource, {
    imports: [EventStoreModule.forRoot(options), EventStoreModule.forFeature({ events })],
    providers: [Heard, Listener, ...providers],
  });
  applications.push(application);
  const store = application.get(EventStore);
  return { application, dataSource, store, heard: application.get(Heard) };
}

describe("eventBus: 'own'", () => {
  it('hands handlers the very instances that were appended, with their records', async () => {
    const { store, heard } = await start({ schema: newSchema() });
    const placed = new OrderPlaced('lamp');
    const { records } = await store.append(order('o-1'), [placed], { metadata: { actor: 'ada' } });
    expect(heard.events).toHaveLength(1);
    expect(heard.events[0]).toBe(placed);
    const record = recordOf(placed);
    expect(record).toBe(records[0]);
    expect(record).toMatchObject({
      aggregate: order('o-1'),
      version: 1,
      position: 1,
      type: 'order.placed',
      metadata: { actor: 'ada' },
    });
  });

  it('publishes in the order of commit, each once, however many append at once', async () => {
    const { store, heard } = await start({ schema: newSchema() });
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        store.append(order(`o-${n % 7}`), [new OrderPlaced(`${n}a`), new OrderPacked(`${n}b`)]),
      ),
    );
    await store.appendAll([
      { aggregate: order('o-1'), events: [new OrderShipped('x')] },
      { aggregate: order('o-2'), events: [new OrderShipped('y')] },
    ]);
    expect(heard.positions).toEqual(Array.from({ length: 122 }, (_, n) => n + 1));
  });

  it('publishes nothing before its commit, nor of an append that was refused', async () => {
    const { store, heard, dataSource } = await start({ schema: newSchema() });
    const visible: boolean[] = [];
    const look = async (appended: EventRecord): Promise<void> => {
      const { records } = await store.fetchByAggregate(appended.aggregate);
      visible.push(records.some(({ id }) => id === appended.id));
    };
    store.onAppended(([appended]) => void look(appended!));
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await dataSource.transaction((manager) =>
      store.append(order('o-2'), [new OrderPlaced('desk')], { manager }),
    );
    await eventually(() => visible.length === 2);
    expect(visible).toEqual([true, true]);

    const late = store.append(order('o-1'), [new OrderPlaced('late')], { expectedVersion: 7 });
    await expect(late).rejects.toMatchObject({ code: 'WRONG_EXPECTED_VERSION' });
    expect(heard.items).toEqual(['lamp', 'desk']);
  });

  it('publishes a repeated append once', async () => {
    const { store, heard, dataSource } = await start({ schema: newSchema() });
    const placed = () => [
      new EventData(new OrderPlaced('lamp'), { id: '0197a0c8-7f00-7000-8000-000000000001' }),
    ];
    await store.append(order('o-1'), placed());
    await store.append(order('o-1'), placed());
    const again = await dataSource.transaction((manager) =>
      store.append(order('o-1'), placed(), { manager }),
    );
    expect(again.duplicate).toBe(true);
    expect(heard.items).toEqual(['lamp']);
  });

  it('does not fail an append because of a handler that throws or rejects', async () => {
    @EventsHandler(OrderPlaced)
    class Throwing implements IEventHandler<OrderPlaced> {
      handle({ item }: OrderPlaced): Promise<void> {
        if (item === 'throw') throw new Error('thrown on purpose');
        return Promise.reject(new Error('rejected on purpose'));
      }
    }
    const { application, store, heard } = await start(
      { schema: newSchema() },
      { providers: [Throwing] },
    );
    const unhandled: unknown[] = [];
    application.get(UnhandledExceptionBus).subscribe(({ exception }) => unhandled.push(exception));
    for (const item of ['throw', 'reject', 'fine']) {
      const { version } = await store.append(order(item), [new OrderPlaced(item)]);
      expect(version).toBe(1);
    }
    await eventually(() => unhandled.length === 3);
    expect(heard.items).toEqual(['throw', 'reject', 'fine']);
  });

  it('does not fail an append because of a bus that throws', async () => {
    const { application, store, heard } = await start({ schema: newSchema() });
    application.get(EventBus).publisher = {
      publish: () => {
        throw new Error('thrown on purpose');
      },
    };
    await store.append(order('o-1'), [new OrderPlaced('lamp'), new OrderPacked('lamp')]);
    expect((await store.fetchByAggregate(order('o-1'))).records).toHaveLength(2);
    expect(heard.events).toEqual([]);
  });
});

describe("an append in a caller's transaction", () => {
  const rollback = new Error('rolled back on purpose');
  let started: Started;

  beforeAll(async () => {
    started = await start({ schema: newSchema() });
    applications = [];
  });
  afterEach(() => {
    started.heard.events.length = 0;
  });
  afterAll(() => started.application.close());

  it('is published after the outermost commit, in the order of positions', async () => {
    const { store, heard, dataSource } = started;
    await dataSource.transaction(async (manager) => {
      await store.append(order('t-1'), [new OrderPlaced('a')], { manager });
      await manager.transaction((inner) =>
        store.appendAll(
          [
            { aggregate: order('t-2'), events: [new OrderPlaced('b'), new OrderPacked('c')] },
            { aggregate: order('t-1'), events: [new OrderPacked('d')] },
          ],
          { manager: inner },
        ),
      );
      expect(heard.items).toEqual([]);
    });
    expect(heard.items).toEqual(['a', 'b', 'c', 'd']);
    const [first = 0] = heard.positions;
    expect(heard.positions).toEqual([first, first + 1, first + 2, first + 3]);
  });

  it('is published before appends to its aggregate that have waited for it', async () => {
    const { store, heard, dataSource } = started;
    for (let round = 0; round < 20; round++) {
      const aggregate = order(`waited-${round}`);
      await store.append(aggregate, [new OrderPlaced('1')]);
      const waiting: Promise<unknown>[] = [];
      const work = dataSource.transaction(async (manager) => {
        await store.append(aggregate, [new OrderPacked('2')], { manager });
        waiting.push(
          store.append(aggregate, [new OrderShipped('3')]),
          store.append(aggregate, [new OrderShipped('4')]),
        );
        await eventually(async () => {
          const [{ blocked }] = await dataSource.query(
            'SELECT count(*)::int AS blocked FROM pg_locks WHERE NOT granted',
          );
          return blocked > 0;
        });
        if (round % 4 === 3) throw new Error('rolled back');
      });
      await Promise.allSettled([work, ...waiting]);
      await Promise.all(waiting);
      const versions = heard.events.map((event) => recordOf(event)?.version);
      expect(versions).toEqual(round % 4 === 3 ? [1, 2, 3] : [1, 2, 3, 4]);
      heard.events.length = 0;
    }
  });

  it('goes before what follows it until its connection is released, if plain SQL has ended it', async () => {
    const { store, heard, dataSource } = started;
    const queryRunner = dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    await store.append(order('q-1'), [new OrderPlaced('unknown')], {
      manager: queryRunner.manager,
    });
    await queryRunner.query('COMMIT');
    await store.append(order('q-1'), [new OrderPacked('after')]);
    await store.append(order('q-2'), [new OrderPlaced('of another order')]);
    expect(heard.items).toEqual(['of another order']);
    await queryRunner.release();
    await eventually(() => heard.items.length > 1);
    expect(heard.items).toEqual(['of another order', 'after']);
  });

  it('keeps nothing waiting once it is rolled back, also where its connection is kept', async () => {
    const { store, heard, dataSource } = started;
    const queryRunner = dataSource.createQueryRunner();
    const { manager } = queryRunner;
    await queryRunner.startTransaction();
    await store.append(order('k-1'), [new OrderPlaced('rolled back')], { manager });
    const waiting = ['a', 'b'].map((item) => store.append(order('k-1'), [new OrderPlaced(item)]));
    await eventually(async () => {
      const [{ blocked }] = await dataSource.query(
        'SELECT count(*)::int AS blocked FROM pg_locks WHERE NOT granted',
      );
      return blocked > 0;
    });
    await queryRunner.rollbackTransaction();
    await Promise.all(waiting);
    await eventually(() => heard.items.length > 1);
    expect(heard.items).toEqual(['a', 'b']);
    await queryRunner.release();
  });

  it('is not published if the transaction is rolled back', async () => {
    const { store, heard, dataSource } = started;
    const work = dataSource.transaction(async (manager) => {
      await store.append(order('r-1'), [new OrderPlaced('a')], { manager });
      throw rollback;
    });
    await expect(work).rejects.toBe(rollback);
    await store.append(order('r-1'), [new OrderPlaced('b')]);
    expect(heard.items).toEqual(['b']);
  });

  it('is not published if its savepoint is rolled back, and the rest is', async () => {
    const { store, heard, dataSource } = started;
    await dataSource.transaction(async (manager) => {
      await store.append(order('s-1'), [new OrderPlaced('kept')], { manager });
      const inner = manager.transaction(async (nested) => {
        await store.append(order('s-1'), [new OrderPacked('dropped')], { manager: nested });
        throw rollback;
      });
      await expect(inner).rejects.toBe(rollback);
      await store.append(order('s-1'), [new OrderShipped('last')], { manager });
    });
    expect(heard.items).toEqual(['kept', 'last']);
  });

  it('is published once if it is made again after its savepoint was rolled back', async () => {
    const { store, heard, dataSource } = started;
    const packed = new EventData(new OrderPacked('again'), {
      id: '0197a0c8-7f00-7000-8000-000000000002',
    });
    let position = 0;
    await dataSource.transaction(async (manager) => {
      const inner = manager.transaction(async (nested) => {
        await store.append(order('s-2'), [packed], { manager: nested });
        throw rollback;
      });
      await expect(inner).rejects.toBe(rollback);
      ({ position } = await store.append(order('s-2'), [packed], { manager }));
    });
    expect(heard.items).toEqual(['again']);
    expect(heard.positions).toEqual([position]);
  });

  it('is not published if the server answers COMMIT with a rollback', async () => {
    const { store, heard, dataSource } = started;
    await dataSource.transaction(async (manager) => {
      await store.append(order('c-1'), [new OrderPlaced('lost')], { manager });
      await expect(manager.query('SELECT 1 / 0')).rejects.toThrow('division by zero');
    });
    expect(await store.currentVersion(order('c-1'))).toBe(0);
    expect(heard.items).toEqual([]);
  });

  it('is published by the transaction that it was made in, on a query runner used twice', async () => {
    const { store, heard, dataSource } = started;
    const queryRunner = dataSource.createQueryRunner();
    const { manager } = queryRunner;
    try {
      for (const item of ['first', 'second', 'third']) {
        await queryRunner.startTransaction();
        await store.append(order('q-1'), [new OrderPlaced(item)], { manager });
        if (item === 'second') await queryRunner.rollbackTransaction();
        else await queryRunner.commitTransaction();
      }
    } finally {
      await queryRunner.release();
    }
    expect(heard.items).toEqual(['first', 'third']);
  });
});

describe('what a handler appends', () => {
  class Pack {
    constructor(readonly item: string) {}
  }

  @CommandHandler(Pack)
  class PackHandler implements ICommandHandler<Pack> {
    constructor(private readonly store: EventStore) {}

    async execute({ item }: Pack): Promise<void> {
      await this.store.append(order(`packed-${item}`), [new OrderPacked(item)]);
    }
  }

  @Injectable()
  class Warehouse {
    @Saga()
    pack = (events: Observable<object>): Observable<Pack> =>
      events.pipe(
        ofType(OrderPlaced),
        map(({ item }) => new Pack(item)),
      );
  }

  @EventsHandler(OrderPacked)
  class Shipper implements IEventHandler<OrderPacked> {
    constructor(private readonly store: EventStore) {}

    async handle({ item }: OrderPacked): Promise<void> {
      await turn();
      await this.store.append(order(`shipped-${item}`), [new OrderShipped(item)]);
    }
  }

  it.each(['own', 'all'] as const)(
    "says what caused it, through sagas and slow handlers ('%s')",
    async (eventBus) => {
      const { application, store } = await start(
        { schema: newSchema(), eventBus, pollIntervalMs: 20 },
        { providers: [PackHandler, Warehouse, Shipper] },
      );
      const correlated = { correlationId: 'request-1' };
      await Promise.all([
        runWithMetadata(correlated, () => store.append(order('o-1'), [new OrderPlaced('lamp')])),
        store.append(order('o-2'), [new OrderPlaced('desk')]),
        application.get(CommandBus).execute(new Pack('rug')),
      ]);
      await eventually(async () => (await store.fetch()).records.length === 8);
      const { records } = await store.fetch();
      const find = (type: string, item: string): EventRecord =>
        records.find(
          (record) => record.type === type && (record.event as OrderPlaced).item === item,
        )!;
      for (const item of ['lamp', 'desk']) {
        const placed = find('order.placed', item);
        const packed = find('order.packed', item);
        const shipped = find('order.shipped', item);
        const { correlationId = placed.id } = placed.metadata;
        expect(packed.metadata).toEqual({ correlationId, causationId: placed.id });
        expect(shipped.metadata).toEqual({ correlationId, causationId: packed.id });
      }
      expect(find('order.placed', 'lamp').metadata).toEqual(correlated);
      expect(find('order.placed', 'desk').metadata).toEqual({});
      const rug = find('order.packed', 'rug');
      expect(rug.metadata).toEqual({});
      expect(find('order.shipped', 'rug').metadata).toEqual({
        correlationId: rug.id,
        causationId: rug.id,
      });
    },
  );

  it('carries what a command was run with', async () => {
    const { application, store } = await start(
      { schema: newSchema() },
      { providers: [PackHandler] },
    );
    const metadata = { actor: 'ada', correlationId: 'request-2' };
    await runWithMetadata(metadata, () => application.get(CommandBus).execute(new Pack('lamp')));
    const { records } = await store.fetch();
    expect(records.map((record) => record.metadata)).toEqual([metadata]);
    expect(currentMetadata()).toEqual({});
  });

  it('is not inside a transaction that has ended', async () => {
    const ambient = new AsyncLocalStorage<{ manager?: EntityManager }>();
    const { dataSource, store } = await start(
      { schema: newSchema(), transactionManager: () => ambient.getStore()?.manager },
      { providers: [Shipper] },
    );
    // The flow goes on after its transaction, and whatever it starts still sees the manager.
    await ambient.run({}, () =>
      dataSource.transaction(async (manager) => {
        Object.assign(ambient.getStore()!, { manager });
        await store.append(order('o-1'), [new OrderPacked('lamp')]);
      }),
    );
    await eventually(async () => (await store.currentVersion(order('shipped-lamp'))) === 1);
  });
});

describe("eventBus: 'all'", () => {
  const options = (schema: string): EventStoreOptions => ({
    schema,
    eventBus: 'all',
    pollIntervalMs: 20,
  });

  it('lets two applications hear each other, in log order, each event once, from now on', async () => {
    const schema = newSchema();
    const { store: earlier } = await start({ schema, eventBus: 'off' });
    await earlier.append(order('o-0'), [new OrderPlaced('before')]);
    const [one, two] = await Promise.all([start(options(schema)), start(options(schema))]);

    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        [one, two, { store: earlier }][n % 3]!.store.append(order(`o-${n % 5}`), [
          new OrderPlaced(String(n)),
        ]),
      ),
    );
    const { records } = await earlier.fetch(1);
    const positions = records.map((record) => record.position);
    for (const { heard } of [one, two]) {
      await eventually(() => heard.events.length >= 40);
      expect(heard.positions).toEqual(positions);
      expect(new Set(heard.items).size).toBe(40);
    }
  });

  it('waits for an open transaction, and skips nothing', async () => {
    const { store, heard, dataSource } = await start(options(newSchema()));
    await dataSource.transaction(async (manager) => {
      await store.append(order('slow'), [new OrderPlaced('slow')], { manager });
      await store.append(order('fast'), [new OrderPlaced('fast')]);
      const reads = jest.spyOn(store as unknown as LogReader, 'readOn');
      await eventually(() => reads.mock.calls.length > 2);
      expect(heard.items).toEqual([]);
    });
    await eventually(() => heard.events.length === 2);
    expect(heard.items).toEqual(['slow', 'fast']);
  });

  it('passes over events of types that only another application knows', async () => {
    const schema = newSchema();
    const narrow = await start(options(schema), { events: [OrderPlaced] });
    const wide = await start(options(schema));
    await wide.store.append(order('o-1'), [
      new OrderPacked('unknown'),
      new OrderPlaced('known'),
      new OrderShipped('unknown'),
    ]);
    await wide.store.append(order('o-1'), [new OrderPlaced('later')]);
    await eventually(() => wide.heard.events.length === 4 && narrow.heard.events.length === 2);
    expect(narrow.heard.items).toEqual(['known', 'later']);
    expect(wide.heard.items).toEqual(['unknown', 'known', 'unknown', 'later']);
  });

  it('gives handlers the metadata of the event, not that of a later append', async () => {
    const surroundings: object[] = [];
    @EventsHandler(OrderPlaced)
    class Observer implements IEventHandler<OrderPlaced> {
      handle(): void {
        surroundings.push(currentMetadata());
      }
    }
    const schema = newSchema();
    const { store: elsewhere } = await start({ schema, eventBus: 'off' });
    const { store } = await start(
      { schema, eventBus: 'all', pollIntervalMs: 60_000 },
      { providers: [Observer] },
    );
    const { records } = await elsewhere.append(order('o-1'), [new OrderPlaced('lamp')]);
    await runWithMetadata({ actor: 'ada' }, () =>
      store.append(order('o-2'), [new OrderPacked('desk')]),
    );
    await eventually(() => surroundings.length === 1);
    const { id } = records[0]!;
    expect(surroundings).toEqual([{ correlationId: id, causationId: id }]);
  });

  it('leaves out an event that only a newer application can read, and says so', async () => {
    @DomainEvent('order.packed', { revision: 2 })
    class NewerPacked {
      constructor(readonly item: string) {}
    }
    const schema = newSchema();
    const { store, heard } = await start(options(schema));
    const newer = await start({ schema, eventBus: 'off' }, { events: [NewerPacked] });
    const logged = jest.spyOn(Logger.prototype, 'error');
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await newer.store.append(order('o-1'), [new NewerPacked('lamp')]);
    await store.append(order('o-1'), [new OrderShipped('lamp'), new OrderShipped('shade')]);
    await eventually(() => heard.positions.length === 3);
    expect(heard.positions).toEqual([1, 3, 4]);
    expect(logged.mock.calls).toEqual([
      [
        'An event cannot be read and does not reach the EventBus.',
        expect.objectContaining({ code: 'UPCAST', position: 2 }),
      ],
    ]);
    logged.mockRestore();
  });

  it('continues after an error', async () => {
    const schema = newSchema();
    const { store, heard, dataSource } = await start(options(schema));
    const logged = jest.spyOn(Logger.prototype, 'error');
    await dataSource.query(`ALTER TABLE ${schema}.domain_events RENAME TO hidden`);
    await eventually(() => logged.mock.calls.length > 0);
    expect(logged.mock.calls[0]).toEqual([
      'The log could not be read for the EventBus; trying again.',
      expect.objectContaining({ code: 'SCHEMA_MISMATCH' }),
    ]);
    logged.mockRestore();
    await dataSource.query(`ALTER TABLE ${schema}.hidden RENAME TO domain_events`);
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await eventually(() => heard.events.length === 1);
  });
});

describe("eventBus: 'off'", () => {
  it('publishes nothing', async () => {
    const schema = newSchema();
    const { store, heard, dataSource } = await start({ schema, eventBus: 'off' });
    const other = await start({ schema, eventBus: 'all', pollIntervalMs: 20 });
    await store.append(order('o-1'), [new OrderPlaced('lamp')]);
    await dataSource.transaction((manager) =>
      store.append(order('o-1'), [new OrderPlaced('desk')], { manager }),
    );
    await eventually(() => other.heard.events.length === 2);
    expect(heard.events).toEqual([]);
  });
});
