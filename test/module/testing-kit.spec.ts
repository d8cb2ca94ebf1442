import { AssertionError } from 'node:assert';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { TestingModule } from '@nestjs/testing';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import {
  Consumers,
  ConsumerStateError,
  currentDelivery,
  DomainEvent,
  Durable,
  EventData,
  EventStore,
  EventStoreModule,
  getEventStoreToken,
  InvalidEventError,
  noRetry,
  On,
  OnBatch,
  Projection,
  WaitTimeoutError,
  type EventRecord,
  type EventStoreOptions,
  type GenerationHooks,
  type GenerationScope,
  type ProjectionContext,
  type StoreSelection,
} from 'nest-event-store';
import { drain, projectionScenario } from 'nest-event-store/testing';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { patiently } from '../support/eventually.ts';
import { startApplication } from './start-application.ts';

@DomainEvent('account.opened', { dates: ['at'] })
class AccountOpened {
  constructor(
    readonly owner: string,
    readonly at = new Date(0),
  ) {}
}

@DomainEvent('account.closed')
class AccountClosed {}

@DomainEvent('letter.due')
class LetterDue {
  constructor(readonly remaining: number) {}
}

const account = (id: string) => ({ type: 'account', id });

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

describe('drain', () => {
  let applications: TestingModule[] = [];
  let schemas = 0;
  afterEach(async () => {
    await Promise.all(applications.map((each) => each.close()));
    applications = [];
  });

  /** What a test tells its handlers, and what they tell the test. */
  class Script {
    readonly lines: string[] = [];
    error: Error | undefined;
    gate: Promise<void> = Promise.resolve();
  }

  /** Holds handlers up until the function that it returns is called. */
  function close(script: Script): () => void {
    let open!: () => void;
    script.gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  const newSchema = (): string => `kit_${(schemas += 1)}`;

  async function start(
    providers: NonNullable<ModuleMetadata['providers']>,
    {
      schema = newSchema(),
      store = 'default',
      ...options
    }: EventStoreOptions & StoreSelection = {},
  ) {
    const application = await startApplication(await database.dataSource(), {
      imports: [
        EventStoreModule.forRoot({ schema, store, ...options }),
        EventStoreModule.forFeature({ events: [AccountOpened, LetterDue] }, { store }),
      ],
      providers: [Script, ...providers],
    });
    applications.push(application);
    return {
      application,
      schema,
      store: application.get<EventStore>(getEventStoreToken(store)),
      script: application.get(Script),
      open: (id: string) =>
        application
          .get<EventStore>(getEventStoreToken(store))
          .append(account(id), [new AccountOpened(id)]),
    };
  }

  @Durable('letters')
  @EventsHandler(AccountOpened, LetterDue)
  class Letters implements IEventHandler<AccountOpened | LetterDue> {
    constructor(
      readonly script: Script,
      readonly store: EventStore,
    ) {}

    async handle(event: AccountOpened | LetterDue): Promise<void> {
      await this.script.gate;
      const remaining = event instanceof LetterDue ? event.remaining : 3;
      this.script.lines.push(`letter ${remaining}`);
      if (remaining === 0) return;
      await this.store.append({ type: 'letter', id: 'a' }, [new LetterDue(remaining - 1)]);
    }
  }

  @Projection('log')
  class Log {
    constructor(readonly script: Script) {}

    @On(AccountOpened, LetterDue)
    note(event: AccountOpened | LetterDue): void {
      this.script.lines.push(event.constructor.name);
    }
  }

  /** Fails as its script says. */
  @Durable('fragile', { retry: noRetry })
  @EventsHandler(AccountOpened)
  class Fragile implements IEventHandler<AccountOpened> {
    constructor(readonly script: Script) {}

    async handle(): Promise<void> {
      await this.script.gate;
      if (this.script.error) throw this.script.error;
      this.script.lines.push('handled');
    }
  }

  @Durable('parks', { retry: noRetry, onFailure: 'park' })
  @EventsHandler(AccountOpened)
  class Parks extends Fragile {
    constructor(
      script: Script,
      readonly store: EventStore,
    ) {
      super(script);
    }

    override async handle(): Promise<void> {
      await super.handle();
      await this.store.append({ type: 'letter', id: 'b' }, [new LetterDue(0)]);
    }
  }

  it('waits for all that handlers append in turn', async () => {
    const { application, open, script } = await start([Letters, Log]);
    await drain(application, patiently);
    expect(script.lines).toEqual([]);

    await open('1');
    await drain(application, patiently);
    expect(script.lines.filter((line) => line.startsWith('letter'))).toEqual([
      'letter 3',
      'letter 2',
      'letter 1',
      'letter 0',
    ]);
    expect(script.lines.filter((line) => line.endsWith('Due'))).toHaveLength(3);
  });

  it('waits for a rebuild, and for events that an open transaction holds back', async () => {
    const { application, open, store, script } = await start([Log]);
    await open('1');
    await drain(application, patiently);
    await application.get(Consumers).rebuild('log');
    await drain(application, patiently);
    expect(script.lines).toEqual(['AccountOpened', 'AccountOpened']);
    const { consumers } = await application.get(Consumers).list();
    expect(consumers[0]).toMatchObject({ generation: 2, rebuild: null });

    await application.get(DataSource).transaction(async (manager) => {
      await store.append(account('2'), [new AccountOpened('2')], { manager });
      await drain(application, patiently);
      await open('3');
      const drained = drain(application, { timeoutMs: 200 });
      await expect(drained).rejects.toThrow(
        /'log' is at position 1 .* 3 .*still open.*process \d+/,
      );
    });
    await drain(application, patiently);
    expect(script.lines).toHaveLength(4);
  });

  it('is not kept waiting by positions of appends that were rolled back', async () => {
    const { application, open, store } = await start([Log], { pollIntervalMs: 60_000 });
    await open('1');
    await drain(application, patiently);
    const failed = application.get(DataSource).transaction(async (manager) => {
      await store.append(account('2'), [new AccountOpened('2')], { manager });
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    await drain(application, patiently);
  });

  it('waits for what other processes run, and leaves out what no process runs', async () => {
    const worker = await start([Log, Fragile], { leaseMs: 60_000 });
    const { schema } = worker;
    const web = await start([Log, Fragile], { schema, autoStart: false, leaseMs: 60_000 });
    await web.open('1');
    await drain(web.application, patiently);
    expect(worker.script.lines.toSorted()).toEqual(['AccountOpened', 'handled']);

    await worker.application.close();
    await web.open('2');
    await expect(drain(web.application, patiently)).rejects.toThrow(
      "The consumer 'log' is run by no process, and neither is any other",
    );
    const half = await start([Log, Fragile], { schema, autoStart: ['log'] });
    await drain(half.application, patiently);
    expect(half.script.lines).toEqual(['AccountOpened']);
  });

  it('says why a consumer has stopped, and continues once it was started', async () => {
    const { application, open, script } = await start([Fragile]);
    script.error = new RangeError('no ink');
    await open('1');
    const drained = drain(application, patiently);
    await expect(drained).rejects.toThrow(ConsumerStateError);
    await expect(drained).rejects.toThrow(
      /'fragile' has stopped at position 1: RangeError: no ink.*start\('fragile'\)/,
    );
    script.error = undefined;
    await application.get(Consumers).start('fragile');
    await drain(application, patiently);
    expect(script.lines).toEqual(['handled']);
  });

  it('refuses to wait for a paused consumer that has something to do', async () => {
    const { application, open, script } = await start([Fragile, Log]);
    await open('1');
    await drain(application, patiently);
    await application.get(Consumers).pause('fragile');
    await application.get(Consumers).rebuild('log');
    await drain(application, patiently);
    await open('2');
    const drained = drain(application, patiently);
    await expect(drained).rejects.toThrow(
      "'fragile' is paused at position 1. Call resume('fragile')",
    );
    await application.get(Consumers).resume('fragile');
    await drain(application, patiently);
    expect(script.lines.filter((line) => line === 'handled')).toHaveLength(2);
  });

  it('refuses parked events unless they are allowed, and waits for their next attempt', async () => {
    const { application, open, script } = await start([Parks, Log]);
    script.error = new Error('no ink');
    await open('1');
    await expect(drain(application, patiently)).rejects.toThrow(
      "'parks' has parked the events of account '1' from position 1 on: Error: no ink",
    );
    await drain(application, { ...patiently, allowParked: true });
    script.error = undefined;
    const release = close(script);
    await application.get(Consumers).retryParked('parks');
    await expect(drain(application, { allowParked: true, timeoutMs: 100 })).rejects.toThrow(
      'It is trying its parked events again',
    );
    release();
    await drain(application, { ...patiently, allowParked: true });
    expect(script.lines).toEqual(['AccountOpened', 'handled', 'LetterDue']);
    await drain(application, patiently);
  });

  it('names the consumer that is late', async () => {
    const { application, open, script } = await start([Fragile]);
    const release = close(script);
    await open('1');
    const drained = drain(application, { timeoutMs: 100 });
    await expect(drained).rejects.toThrow(WaitTimeoutError);
    await expect(drained).rejects.toThrow(/'fragile' is at position 0 and did not reach 1.*100 ms/);
    release();
    await drain(application, patiently);
  });

  it('drains the store of that name', async () => {
    @Durable('archive', { store: 'archive' })
    @EventsHandler(AccountOpened)
    class Archive extends Fragile {}

    const { application, open, script } = await start([Archive], { store: 'archive' });
    await open('1');
    await drain(application, { ...patiently, store: 'archive' });
    expect(script.lines).toEqual(['handled']);
  });
});

describe('projectionScenario', () => {
  let dataSource: DataSource;

  @Entity('account_list')
  class Account {
    @PrimaryColumn('text')
    readonly id!: string;

    @Column('text')
    readonly owner!: string;
  }

  beforeAll(async () => {
    dataSource = await database.dataSource({ entities: [Account], extra: { max: 1 } });
  });

  class AccountTables implements GenerationHooks {
    async prepare({ generation, manager }: GenerationScope): Promise<void> {
      await manager.query(
        `CREATE TABLE account_list_${generation} (id text PRIMARY KEY, owner text, place text)`,
      );
    }

    async activate({ generation, manager }: GenerationScope): Promise<void> {
      await manager.query(`CREATE VIEW account_list AS SELECT * FROM account_list_${generation}`);
    }
  }

  @Injectable()
  @Projection('account-list')
  class AccountList extends AccountTables {
    @On(AccountOpened)
    async opened(
      { owner }: AccountOpened,
      { aggregate, position, version }: EventRecord,
      { manager, generation }: ProjectionContext,
    ): Promise<void> {
      await manager.query(`INSERT INTO account_list_${generation} VALUES ($1, $2, $3)`, [
        aggregate.id,
        owner,
        `${aggregate.type} ${position} ${version}`,
      ]);
    }

    @On(AccountClosed)
    async closed(
      _event: AccountClosed,
      { aggregate }: EventRecord,
      { manager }: ProjectionContext,
    ): Promise<void> {
      await manager.query('DELETE FROM account_list_1 WHERE id = $1', [aggregate.id]);
    }
  }

  const tables = async (): Promise<string[]> => {
    const rows = await dataSource.query<{ name: string }[]>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    return rows.map(({ name }) => name);
  };

  it('compares rows after events of several aggregates, and keeps none', async () => {
    const accounts = projectionScenario(AccountList, { dataSource })
      .given('1', new AccountOpened('Ada'))
      .given(account('2'), new LetterDue(1), new AccountOpened('Bob'))
      .given('1', new AccountClosed(), new AccountOpened('Cy'));
    await accounts.then('SELECT * FROM account_list ORDER BY id', [
      { id: '1', owner: 'Cy', place: 'scenario 5 3' },
      { id: '2', owner: 'Bob', place: 'account 3 2' },
    ]);
    await accounts.then(
      (manager) => manager.find(Account, { order: { owner: 'ASC' } }),
      [
        { id: '2', owner: 'Bob' },
        { id: '1', owner: 'Cy' },
      ],
    );
    expect(await tables()).toEqual([]);
  });

  it('fails with what is different', async () => {
    const failed = projectionScenario(new AccountList(), { dataSource })
      .given('1', new AccountOpened('Ada'))
      .then('SELECT owner FROM account_list', [{ owner: 'Bob' }]);
    await expect(failed).rejects.toThrow(AssertionError);
    await expect(failed).rejects.toMatchObject({
      generatedMessage: true,
      actual: [{ owner: 'Ada' }],
      expected: [{ owner: 'Bob' }],
    });
    await projectionScenario(AccountList, { dataSource }).then('SELECT * FROM account_list', []);
    expect(await tables()).toEqual([]);
  });

  it('expects what a projection throws', async () => {
    const twice = projectionScenario(AccountList, { dataSource })
      .given('1', new AccountOpened('Ada'))
      .given('1', new AccountOpened('Ada'));
    await twice.thenThrows(/duplicate key/);
    await expect(twice.then('SELECT 1', [])).rejects.toThrow('duplicate key');
    const once = projectionScenario(AccountList, { dataSource }).given('1', new AccountClosed());
    await expect(once.thenThrows(Error)).rejects.toThrow(AssertionError);
    expect(await tables()).toEqual([]);
  });

  it('finds out that a projection depends on how the log is cut', async () => {
    class Batches extends AccountTables {
      protected async write(
        records: readonly EventRecord[],
        { manager }: ProjectionContext,
        onConflict: string,
      ): Promise<void> {
        await manager.query(
          `INSERT INTO account_list_1 VALUES ('sum', $1) ON CONFLICT (id) ${onConflict}`,
          [records.length],
        );
      }
    }

    @Projection('sums')
    class Sums extends Batches {
      @OnBatch(AccountOpened)
      count(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
        const sum = 'account_list_1.owner::integer + excluded.owner::integer';
        return this.write(records, context, `DO UPDATE SET owner = (${sum})`);
      }
    }

    @Projection('lasts')
    class Lasts extends Batches {
      @OnBatch(AccountOpened)
      count(records: readonly EventRecord[], context: ProjectionContext): Promise<void> {
        return this.write(records, context, 'DO UPDATE SET owner = excluded.owner');
      }
    }

    @Projection('firsts')
    class Firsts extends Batches {
      @OnBatch(AccountOpened)
      async count(records: readonly EventRecord[], { manager }: ProjectionContext): Promise<void> {
        await manager.query(`INSERT INTO account_list_1 VALUES ('sum', $1)`, [records.length]);
      }
    }

    const outcomeOf = (projection: new () => object): Promise<void> =>
      projectionScenario(projection, { dataSource })
        .given('1', new AccountOpened('Ada'))
        .given('2', new AccountOpened('Bob'))
        .then('SELECT owner FROM account_list', [{ owner: '2' }]);

    await outcomeOf(Sums);
    await expect(outcomeOf(Lasts)).rejects.toThrow(
      /'lasts' gives the expected rows for all events in one batch, but not .* how the log is cut/,
    );
    await expect(outcomeOf(Lasts)).rejects.toMatchObject({ actual: [{ owner: '1' }] });
    await expect(outcomeOf(Firsts)).rejects.toThrow(/how the log is cut.*duplicate key/);
  });

  it('hands over what the store would: stored events, metadata, the delivery', async () => {
    const seen: unknown[] = [];
    const noon = new Date('2026-11-23T12:00:00Z');

    @Projection('spy', { aggregateTypes: ['account', 'club'] })
    class Spy {
      @On(AccountOpened)
      note(event: AccountOpened, record: EventRecord, { generation }: ProjectionContext): void {
        const { aggregate, metadata, recordedAt } = record;
        seen.push({ at: event.at, aggregate, metadata, recordedAt, generation });
        expect(event).toBeInstanceOf(AccountOpened);
        expect(currentDelivery()).toMatchObject({ consumer: 'spy', replayed: false, attempt: 1 });
      }
    }
    const given = new AccountOpened('Ada', noon);
    await projectionScenario(new Spy(), { dataSource, recordedAt: noon })
      .given('1', new EventData(given, { metadata: { actor: 'eve' } }))
      .given({ type: 'house', id: '1' }, new AccountOpened('nobody'))
      .then('SELECT 1 AS one', [{ one: 1 }]);
    const once = {
      at: noon,
      aggregate: account('1'),
      metadata: { actor: 'eve' },
      recordedAt: noon,
      generation: 1,
    };
    expect(seen).toEqual([once, once]);
  });

  it('refuses what is no projection, what cannot be stored, and to be awaited', async () => {
    class Plain {}
    class Injected extends AccountList {
      constructor(readonly script: object) {
        super();
      }
    }
    @Projection('empty')
    class Empty {}
    expect(() => projectionScenario(Plain, { dataSource })).toThrow(
      'The class Plain has no @Projection',
    );
    expect(() => projectionScenario(Injected, { dataSource })).toThrow(
      'Give the scenario an instance',
    );
    expect(() => projectionScenario(Empty, { dataSource })).toThrow(/'empty'.* takes no event/);

    const empty = projectionScenario(AccountList, { dataSource });
    const unstorable = new AccountOpened('A\u0000da');
    await expect(empty.given('1', unstorable).then('SELECT 1', [])).rejects.toThrow(
      InvalidEventError,
    );
    await expect(Promise.resolve(empty as unknown)).rejects.toThrow('do not await given(…)');
  });
});
