import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ModuleMetadata } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import {
  Consumers,
  DomainEvent,
  EventStore,
  EventStoreModule,
  noRetry,
  On,
  OnBatch,
  Projection,
  type EventRecord,
  type GenerationScope,
  type ProjectionContext,
} from 'nest-event-store';
import { eventually, patiently } from '../support/eventually.ts';
import { startApplication } from './start-application.ts';
import { useApplications } from './use-applications.ts';

@DomainEvent('account.opened')
class AccountOpened {
  constructor(readonly owner: string) {}
}

@DomainEvent('account.opened-jointly')
class AccountOpenedJointly extends AccountOpened {
  constructor(
    owner: string,
    readonly partner: string,
  ) {
    super(owner);
  }
}

@DomainEvent('account.credited')
class AccountCredited {
  constructor(readonly amount: number) {}
}

const account = (id: string) => ({ type: 'account', id });

const { database, applications, newSchema } = useApplications();
let dataSource: DataSource;

beforeAll(async () => {
  dataSource = await database.dataSource();
});
afterEach(async () => {
  await dataSource.query('DROP TABLE IF EXISTS owner, balance');
});

async function start(...providers: NonNullable<ModuleMetadata['providers']>) {
  const application = await startApplication(await database.dataSource(), {
    imports: [
      EventStoreModule.forRoot({ schema: newSchema() }),
      EventStoreModule.forFeature({
        events: [AccountOpened, AccountOpenedJointly, AccountCredited],
      }),
    ],
    providers,
  });
  applications.push(application);
  const consumers = application.get(Consumers);
  return {
    application,
    store: application.get(EventStore),
    consumers,
    stopped: (name: string) =>
      eventually(async () => {
        const { consumers: all } = await consumers.list();
        const found = all.find((each) => each.name === name && each.status === 'stopped');
        return found?.partitions[0]?.error?.message;
      }),
  };
}

const owners = () => dataSource.query('SELECT id, owner FROM owner ORDER BY id');
const createOwners = 'CREATE TABLE owner (id text PRIMARY KEY, owner text NOT NULL)';

describe('A projection', () => {
  it('writes its read model event by event, with what it injects', async () => {
    class Spelling {
      readonly of = (owner: string): string => owner.toUpperCase();
    }
    @Projection('owners')
    class Owners {
      constructor(readonly spelling: Spelling) {}

      async prepare({ manager }: GenerationScope): Promise<void> {
        await manager.query(createOwners);
      }

      @On(AccountOpened)
      async opened(
        { owner }: AccountOpened,
        { aggregate }: EventRecord<AccountOpened>,
        { manager }: ProjectionContext,
      ): Promise<void> {
        await manager.query('INSERT INTO owner VALUES ($1, $2)', [
          aggregate.id,
          this.spelling.of(owner),
        ]);
      }

      @On(AccountOpenedJointly)
      async openedJointly(
        { owner, partner }: AccountOpenedJointly,
        { aggregate }: EventRecord<AccountOpenedJointly>,
        { manager }: ProjectionContext,
      ): Promise<void> {
        await manager.query('INSERT INTO owner VALUES ($1, $2)', [
          aggregate.id,
          `${owner} and ${partner}`,
        ]);
      }
    }
    const { store, consumers } = await start(Spelling, Owners);
    await store.append(account('1'), [new AccountOpened('ada'), new AccountCredited(5)]);
    const last = await store.append(account('2'), [new AccountOpenedJointly('grace', 'alan')]);
    await consumers.waitFor('owners', last.position, patiently);
    expect(await owners()).toEqual([
      { id: '1', owner: 'ADA' },
      { id: '2', owner: 'grace and alan' },
    ]);
  });

  it('writes a whole batch at once', async () => {
    const sizes: number[] = [];

    @Projection('balances', { batchSize: 100 })
    class Balances {
      async prepare({ manager }: GenerationScope): Promise<void> {
        await manager.query('CREATE TABLE balance (id text PRIMARY KEY, amount int NOT NULL)');
      }

      @OnBatch(AccountCredited)
      async credited(
        records: readonly EventRecord[],
        { manager }: ProjectionContext,
      ): Promise<void> {
        sizes.push(records.length);
        const amounts = new Map<string, number>();
        for (const { aggregate, event } of records as readonly EventRecord<AccountCredited>[]) {
          amounts.set(aggregate.id, (amounts.get(aggregate.id) ?? 0) + event.amount);
        }
        await manager.query(
          `INSERT INTO balance SELECT * FROM unnest($1::text[], $2::int[])
           ON CONFLICT (id) DO UPDATE SET amount = balance.amount + excluded.amount`,
          [[...amounts.keys()], [...amounts.values()]],
        );
      }
    }
    const { store, consumers } = await start(Balances);
    const credits = Array.from({ length: 100 }, () => new AccountCredited(2));
    const { position } = await store
      .appendAll([
        { aggregate: account('1'), events: [new AccountOpened('ada'), ...credits] },
        { aggregate: account('2'), events: credits },
      ])
      .then((results) => results.at(-1)!);
    await consumers.waitFor('balances', position, patiently);
    expect(await dataSource.query('SELECT id, amount FROM balance ORDER BY id')).toEqual([
      { id: '1', amount: 200 },
      { id: '2', amount: 200 },
    ]);
    expect(sizes.reduce((a, b) => a + b)).toBe(200);
    expect(sizes.length).toBeLessThan(10);
  });

  it('keeps nothing of a failed attempt, and continues from there once it is fixed', async () => {
    let isMended = false;

    @Projection('owners', { retry: noRetry })
    class Owners {
      async prepare({ manager }: GenerationScope): Promise<void> {
        await manager.query(createOwners);
      }

      @On(AccountOpened)
      async opened(
        { owner }: AccountOpened,
        { aggregate }: EventRecord<AccountOpened>,
        { manager }: ProjectionContext,
      ): Promise<void> {
        await manager.query('INSERT INTO owner VALUES ($1, $2)', [aggregate.id, owner]);
        if (!isMended && owner === 'grace') throw new Error('out of ink');
      }
    }
    const { store, consumers, stopped } = await start(Owners);
    for (const owner of ['ada', 'grace', 'alan']) {
      await store.append(account(owner), [new AccountOpened(owner)]);
    }
    expect(await stopped('owners')).toBe('Error: out of ink');
    expect(await owners()).toEqual([{ id: 'ada', owner: 'ada' }]);

    isMended = true;
    await consumers.resume('owners');
    await consumers.waitFor('owners', 3, patiently);
    expect(await owners()).toHaveLength(3);
  });

  it('that is inline commits with the event, or neither does', async () => {
    @Projection('owners', { mode: 'inline' })
    class Owners {
      async prepare({ manager }: GenerationScope): Promise<void> {
        await manager.query(createOwners);
      }

      @On(AccountOpened)
      async opened(
        { owner }: AccountOpened,
        { aggregate }: EventRecord<AccountOpened>,
        { manager }: ProjectionContext,
      ): Promise<void> {
        await manager.query('INSERT INTO owner VALUES ($1, $2)', [aggregate.id, owner]);
        if (owner === 'nobody') throw new Error('no such owner');
      }
    }
    const { store } = await start(Owners);
    await store.append(account('1'), [new AccountOpened('ada')]);
    expect(await owners()).toEqual([{ id: '1', owner: 'ada' }]);

    await expect(store.append(account('2'), [new AccountOpened('nobody')])).rejects.toThrow(
      'no such owner',
    );
    expect(await owners()).toHaveLength(1);
    expect(await store.currentVersion(account('2'))).toBe(0);
  });

  it('that is rebuilt answers from the old read model until the new one has caught up', async () => {
    const hooks: string[] = [];

    @Projection('owners')
    class Owners {
      async prepare({ generation, manager }: GenerationScope): Promise<void> {
        hooks.push(`prepare ${generation}`);
        await manager.query(`CREATE TABLE owner_${generation} (id text, owner text)`);
      }

      async activate({ generation, manager }: GenerationScope): Promise<void> {
        hooks.push(`activate ${generation}`);
        await manager.query(`CREATE OR REPLACE VIEW owner_view AS TABLE owner_${generation}`);
      }

      async discard({ generation, manager }: GenerationScope): Promise<void> {
        hooks.push(`discard ${generation}`);
        await manager.query(`DROP TABLE owner_${generation}`);
      }

      @On(AccountOpened)
      async opened(
        { owner }: AccountOpened,
        { aggregate }: EventRecord<AccountOpened>,
        { generation, manager, replayed }: ProjectionContext,
      ): Promise<void> {
        await manager.query(`INSERT INTO owner_${generation} VALUES ($1, $2)`, [
          aggregate.id,
          replayed ? `${owner} again` : owner,
        ]);
      }
    }
    const { store, consumers } = await start(Owners);
    const { position } = await store.append(account('1'), [new AccountOpened('ada')]);
    await consumers.waitFor('owners', position, patiently);
    const view = () => dataSource.query('SELECT owner FROM owner_view');
    expect(await view()).toEqual([{ owner: 'ada' }]);

    await consumers.rebuild('owners');
    await eventually(async () => {
      const { consumers: all } = await consumers.list();
      return all[0]!.generation === 2 && all[0]!.rebuild === null;
    });
    expect(await view()).toEqual([{ owner: 'ada again' }]);
    expect(hooks).toEqual(['prepare 1', 'activate 1', 'prepare 2', 'activate 2', 'discard 1']);
  });
});
