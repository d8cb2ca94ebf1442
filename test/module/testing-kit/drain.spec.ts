import { describe, expect, it } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { DataSource } from 'typeorm';
import {
  Consumers,
  ConsumerStateError,
  Durable,
  EventStore,
  EventStoreModule,
  getEventStoreToken,
  noRetry,
  On,
  Projection,
  WaitTimeoutError,
  type EventStoreOptions,
  type StoreSelection,
} from 'nest-event-store';
import { drain } from 'nest-event-store/testing';
import { eventually, patiently } from '../../support/eventually.ts';
import { eventuallyRejects } from '../../support/eventually-rejects.ts';
import { startApplication } from '../start-application.ts';
import { account, AccountOpened, LetterDue } from './accounts.ts';
import { useApplications } from '../use-applications.ts';

const { database, applications, newSchema } = useApplications();

describe('drain', () => {
  /** What a test passes to its handlers, and what they report. */
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

  /** Fails as scripted. */
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
      await eventuallyRejects(
        () => drain(application, { timeoutMs: 200 }),
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

  it('reports why a consumer has stopped, and continues once it is resumed', async () => {
    const { application, open, script } = await start([Fragile]);
    script.error = new RangeError('no ink');
    await open('1');
    const drained = drain(application, patiently);
    await expect(drained).rejects.toThrow(ConsumerStateError);
    await expect(drained).rejects.toThrow(
      /'fragile' has stopped at position 1: RangeError: no ink.*resume\('fragile'\)/,
    );
    script.error = undefined;
    await application.get(Consumers).resume('fragile');
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
    await eventuallyRejects(
      () => drain(application, { allowParked: true, timeoutMs: 100 }),
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
    await eventually(async () => {
      const error = await drain(application, { timeoutMs: 100 }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(WaitTimeoutError);
      expect(error.message).toMatch(/'fragile' is at position 0 and did not reach 1.*100 ms/);
      return true;
    });
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
