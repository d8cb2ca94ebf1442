import { AsyncLocalStorage } from 'node:async_hooks';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import { DataSource, type EntityManager } from 'typeorm';
import {
  Aggregate,
  type AggregateRef,
  type AggregateRepository,
  type EventStore,
  InMemoryEventStore,
  type IsolationLevel,
  NestedTransactionError,
  TransactionConflictError,
  UnsupportedFeatureError,
  WrongExpectedVersionError,
} from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { eventually } from '../support/eventually.ts';
import { Counted, openStore } from '../support/store.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { useStore } from '../support/use-store.ts';

@Aggregate('account')
class Account extends AggregateRoot<object> {
  total = 0;

  constructor(readonly id: string) {
    super();
  }

  move(by: number): number {
    this.apply(new Counted(by));
    return this.total;
  }

  onCounted({ by }: Counted): void {
    this.total += by;
  }
}

const given = useStore({
  connection: {
    poolSize: 20,
    extra: { options: '-c deadlock_timeout=20ms' },
  },
  transactionManager: () => ambient.getStore(),
});
let accounts: AggregateRepository<Account>;
let ids = 0;
const ambient = new AsyncLocalStorage<EntityManager>();

beforeAll(async () => {
  accounts = new AggregateRepositories(given.store, {
    cacheSize: 100,
    onWarning: () => undefined,
  }).of(Account);
  await given.dataSource.query('CREATE TABLE invoices (id text)');
});

async function opened(total: number): Promise<AggregateRef> {
  const account = { type: 'account', id: `a-${(ids += 1)}` };
  await given.store.append(account, [new Counted(total)]);
  return account;
}
const invoicesOf = async (id: string): Promise<number> =>
  ((await given.dataSource.query('SELECT FROM invoices WHERE id = $1', [id])) as unknown[]).length;

describe('a transaction of the store', () => {
  it.each<IsolationLevel>(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(
    'at %s is run again until each of many that conflict has committed once',
    async (isolationLevel) => {
      const [from, to] = [await opened(1_000), await opened(0)];
      const balances = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          given.store.transaction(
            async (manager) => {
              await manager.query('INSERT INTO invoices VALUES ($1)', [from.id]);
              // In opposite orders, so that they deadlock.
              const [first, second] = n % 2 === 0 ? [from, to] : [to, from];
              const move = ({ id }: AggregateRef) =>
                accounts.execute(id, (each) => each.move(id === from.id ? -10 : 10), { manager });
              const { result } = await move(first);
              await move(second);
              return result;
            },
            { isolationLevel, retries: 100 },
          ),
        ),
      );
      expect(balances).toHaveLength(10);
      expect((await accounts.load(from.id)).total).toBe(900);
      expect((await accounts.load(to.id)).total).toBe(100);
      expect(await invoicesOf(from.id)).toBe(10);
    },
  );

  it('that met another version is run again from its beginning', async () => {
    const account = await opened(1);
    const seen: number[] = [];
    await given.store.transaction(async (manager) => {
      await manager.query('INSERT INTO invoices VALUES ($1)', [account.id]);
      const loaded = await accounts.load(account.id, { manager });
      seen.push(loaded.move(1));
      if (seen.length === 1) await given.store.append(account, [new Counted(10)]);
      await accounts.save(loaded, { manager });
    });
    expect(seen).toEqual([2, 12]);
    expect(await invoicesOf(account.id)).toBe(1);
  });

  it('gives up after its retries, with the conflict that it met last', async () => {
    const account = await opened(1);
    let attempts = 0;
    const expecting = given.store.transaction(
      async (manager) => {
        attempts += 1;
        await given.store.append(account, [new Counted(1)], { manager, expectedVersion: 7 });
      },
      { retries: 2 },
    );
    await expect(expecting).rejects.toThrow(WrongExpectedVersionError);
    expect(attempts).toBe(3);
    const deadlocked = given.store.transaction(
      (manager) => manager.query(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$`),
      { retries: 0 },
    );
    await expect(deadlocked).rejects.toThrow(TransactionConflictError);
  });

  it('is not run again for any other error, which comes as it was thrown', async () => {
    const account = await opened(1);
    const mine = new Error('mine');
    let attempts = 0;
    const failing = given.store.transaction(async (manager) => {
      attempts += 1;
      await given.store.append(account, [new Counted(1)], { manager });
      throw mine;
    });
    await expect(failing).rejects.toBe(mine);
    expect(Object.keys(mine)).toEqual([]);
    expect(attempts).toBe(1);
    expect(await given.store.currentVersion(account)).toBe(1);
  });

  it('is not acknowledged if one of its statements has failed, whatever the work returns', async () => {
    const account = await opened(1);
    const failing = given.store.transaction(async (manager) => {
      await given.store.append(account, [new Counted(1)], { manager });
      await manager.query('SELECT 1 / 0').catch(() => 'swallowed');
    });
    await expect(failing).rejects.toMatchObject({ code: 'STATEMENT_FAILED', sqlState: '25P02' });
    expect(await given.store.currentVersion(account)).toBe(1);
  });

  it('whose COMMIT is not answered is unknown, and not run again', async () => {
    const proxy = await startProxy(given.database.url);
    const cut = new DataSource({ type: 'postgres', url: proxy.url, installExtensions: false });
    const cutStore = await openStore(await cut.initialize());
    const account = await opened(1);
    let attempts = 0;
    const unanswered = cutStore.transaction(async (manager) => {
      attempts += 1;
      await cutStore.append(account, [new Counted(1)], { manager });
      proxy.interfere = (request) => (request.includes('COMMIT') ? 'reply-lost' : undefined);
    });
    await expect(unanswered).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      outcome: 'unknown',
    });
    expect(attempts).toBe(1);
    await eventually(async () => (await given.store.currentVersion(account)) === 2);
    await cut.destroy();
    await proxy.close();
  });

  it('revokes its manager when it is over', async () => {
    let kept: EntityManager | undefined;
    await given.store.transaction(async (manager) => {
      kept = manager;
    });
    await expect(kept!.query('SELECT 1')).rejects.toThrow('already released');
    await expect(given.store.fetch(0, { manager: kept! })).rejects.toMatchObject({
      code: 'TRANSACTION_REQUIRED',
    });
  });

  it('is refused inside an ambient transaction, with invalid options, and in memory', async () => {
    const work = async (): Promise<void> => undefined;
    await given.dataSource.transaction((manager) =>
      ambient.run(manager, () =>
        expect(given.store.transaction(work)).rejects.toThrow(NestedTransactionError),
      ),
    );
    for (const options of [{ isolationLevel: 'serializable' }, { retries: -1 }, { retry: 1 }]) {
      await expect(given.store.transaction(work, options as object)).rejects.toThrow(TypeError);
    }
    const inMemory: EventStore = new InMemoryEventStore();
    await expect(inMemory.transaction(work)).rejects.toThrow(UnsupportedFeatureError);
  });
});
