import { beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import type { EntityManager, QueryRunner } from 'typeorm';
import {
  Aggregate,
  type AggregateRef,
  type AggregateRepository,
  everyNEvents,
  recordOf,
  TransactionOverError,
} from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { eventually } from '../support/eventually.ts';
import { random, seed } from '../support/random.ts';
import { Counted } from '../support/store.ts';
import { useStore } from '../support/use-store.ts';

@Aggregate('account', { snapshots: everyNEvents(2) })
class Account extends AggregateRoot<object> {
  total = 0;

  constructor(readonly id: string) {
    super();
  }

  deposit(by: number): this {
    this.apply(new Counted(by));
    return this;
  }

  onCounted({ by }: Counted): void {
    this.total += by;
  }
}

const overdrawn = new Error('overdrawn');
const rollback = new Error('rolled back on purpose');

const given = useStore();
let accounts: AggregateRepository<Account>;
let ids = 0;

beforeAll(async () => {
  accounts = new AggregateRepositories(given.store, {
    cacheSize: 100,
    onWarning: () => undefined,
  }).of(Account);
  await given.dataSource.query('CREATE TABLE invoices (id text PRIMARY KEY)');
});

const counted = (...by: number[]): Counted[] => by.map((each) => new Counted(each));
const newRef = (): AggregateRef => ({ type: 'account', id: `a-${(ids += 1)}:` });
async function opened(): Promise<AggregateRef> {
  const account = newRef();
  await given.store.append(account, counted(10));
  return account;
}

/** Every call that writes or reads in a caller's transaction. */
const calls: Readonly<
  Record<string, (account: AggregateRef, manager: EntityManager) => Promise<unknown>>
> = {
  append: (account, manager) => given.store.append(account, counted(5), { manager }),
  appendAll: (account, manager) =>
    given.store.appendAll([{ aggregate: account, events: counted(5, 6) }], { manager }),
  execute: ({ id }, manager) => accounts.execute(id, (each) => each.deposit(5), { manager }),
  save: ({ id }, manager) =>
    accounts.save(new Account(`${id}-${(ids += 1)}`).deposit(1), { manager }),
  snapshot: (account, manager) => given.store.snapshot(account, { total: -1 }, 1, { manager }),
  load: ({ id }, manager) => accounts.load(id, { manager }),
  fetch: (_, manager) => given.store.fetch(0, { manager }),
};

/** What the log and the snapshots hold of an account, and of those named after it. */
async function storedOf({ id }: AggregateRef): Promise<readonly unknown[]> {
  return given.dataSource.query(
    `SELECT g.id, g.version, g.snapshot_version, (
      SELECT count(*) FROM event_store.domain_events AS e WHERE e.aggregate_key = g.key
    ) AS events
    FROM event_store.aggregates AS g WHERE g.id LIKE $1 ORDER BY g.id`,
    [`${id}%`],
  );
}

describe.each(Object.entries(calls))('%s in a transaction', (_, call) => {
  it('is rolled back with it when a sibling in Promise.all fails', async () => {
    const account = await opened();
    const before = await storedOf(account);
    const choices = random(seed());
    for (let round = 0; round < 10; round++) {
      const late: Promise<unknown>[] = [];
      const failing = given.dataSource.transaction(async (manager) => {
        const sibling = async (): Promise<unknown> => {
          for (let turns = choices.integer(0, 12); turns > 0; turns--) await Promise.resolve();
          return call(account, manager);
        };
        const withdraw = accounts.execute(account.id, () => Promise.reject(overdrawn), { manager });
        late.push(sibling(), sibling());
        return Promise.all([withdraw, ...late]);
      });
      await expect(failing).rejects.toBe(overdrawn);
      for (const { status, ...rest } of await Promise.allSettled(late)) {
        if (status === 'rejected')
          expect(rest).toMatchObject({ reason: { code: expect.anything() } });
      }
      expect(await storedOf(account)).toEqual(before);
    }
  });

  it('that was not awaited is part of it or refused, never a transaction of its own', async () => {
    const account = await opened();
    const choices = random(seed());
    for (let round = 0; round < 10; round++) {
      const before = await storedOf(account);
      let outcome: Promise<PromiseSettledResult<unknown>[]> | undefined;
      await given.dataSource.transaction(async (manager) => {
        const forgotten = async (): Promise<unknown> => {
          for (let turns = choices.integer(0, 20); turns > 0; turns--) await Promise.resolve();
          return call(account, manager);
        };
        outcome = Promise.allSettled([forgotten()]);
        if (choices.next() < 0.5) await manager.query('SELECT 1');
      });
      const [{ status, ...rest }] = (await outcome!) as [PromiseSettledResult<unknown>];
      if (status === 'rejected') {
        expect(rest).toMatchObject({ reason: { code: 'TRANSACTION_OVER' } });
        expect(await storedOf(account)).toEqual(before);
      }
    }
  });

  it('is refused by a manager whose query runner was released, or has begun another one', async () => {
    const account = await opened();
    const before = await storedOf(account);
    const released = given.dataSource.createQueryRunner();
    await released.startTransaction();
    await released.release();
    await expect(call(account, released.manager)).rejects.toThrow(TransactionOverError);

    const reused = given.dataSource.createQueryRunner();
    await reused.startTransaction();
    const late = Promise.allSettled([
      call(account, reused.manager).finally(() => undefined),
      (async () => {
        await reused.rollbackTransaction();
        await reused.startTransaction();
      })(),
    ]);
    await late;
    await reused.commitTransaction();
    await reused.release();
    expect(await storedOf(account)).toEqual(before);
  });
});

describe('a call made inside a savepoint that is rolled back', () => {
  it('is rolled back with it, however long it waits for its turn, and the rest commits', async () => {
    for (let round = 0; round < 10; round++) {
      const [outer, inner] = [await opened(), await opened()];
      await given.dataSource.transaction(async (manager) => {
        await given.store.append(outer, counted(1), { manager });
        let late: Promise<unknown>[] = [];
        const nested = manager.transaction((savepoint) => {
          late = Array.from({ length: 5 }, () =>
            given.store.append(inner, counted(7), { manager: savepoint }),
          );
          return Promise.all([...late, Promise.reject(rollback)]);
        });
        await expect(nested).rejects.toBe(rollback);
        const outcomes = await Promise.allSettled(late);
        expect(outcomes.at(-1)).toMatchObject({ reason: { code: 'TRANSACTION_OVER' } });
        await given.store.append(outer, counted(2), { manager });
      });
      expect(await given.store.currentVersion(outer)).toBe(3);
      expect(await given.store.currentVersion(inner)).toBe(1);
    }
  });
});

describe('an aggregate saved in a transaction that is rolled back', () => {
  const eventsOf = async ({ id }: { id: string }): Promise<object[]> =>
    (await given.store.fetchByAggregate({ type: 'account', id })).records.map(({ event }) => event);

  it('is as it was before, and the repetition of the transaction stores it', async () => {
    const account = new Account(newRef().id).deposit(1).deposit(2);
    let attempts = 0;
    const transfer = () =>
      given.dataSource.transaction('SERIALIZABLE', async (manager) => {
        await manager.query('INSERT INTO invoices VALUES ($1)', [account.id]);
        const saved = await accounts.save(account, { manager });
        expect(saved.records).toHaveLength(2);
        expect(accounts.versionOf(account)).toBe(2);
        if ((attempts += 1) === 1) throw rollback;
      });
    await expect(transfer()).rejects.toBe(rollback);
    expect(accounts.versionOf(account)).toBe(0);
    expect(account.getUncommittedEvents()).toEqual(counted(1, 2));
    expect(account.getUncommittedEvents().map(recordOf)).toEqual([undefined, undefined]);

    await transfer();
    expect(account.getUncommittedEvents()).toEqual([]);
    expect(await eventsOf(account)).toEqual(counted(1, 2));
    expect((await accounts.save(account.deposit(3))).version).toBe(3);
  });

  it('keeps its later events after those that were rolled back', async () => {
    const account = new Account(newRef().id).deposit(1);
    const failing = given.dataSource.transaction(async (manager) => {
      await accounts.save(account, { manager });
      await accounts.save(account.deposit(2), { manager });
      account.deposit(3);
      throw rollback;
    });
    await expect(failing).rejects.toBe(rollback);
    await accounts.save(account.deposit(4));
    expect(await eventsOf(account)).toEqual(counted(1, 2, 3, 4));
  });

  it('goes back to a savepoint only', async () => {
    const account = new Account(newRef().id).deposit(1);
    await given.dataSource.transaction(async (manager) => {
      await accounts.save(account, { manager });
      await manager.transaction((kept) => accounts.save(account.deposit(2), { manager: kept }));
      const undone = manager.transaction(async (inner) => {
        await accounts.save(account.deposit(3), { manager: inner });
        await inner.transaction((innermost) =>
          accounts.save(account.deposit(4), { manager: innermost }),
        );
        throw rollback;
      });
      await expect(undone).rejects.toBe(rollback);
      expect(accounts.versionOf(account)).toBe(2);
      expect(account.getUncommittedEvents()).toEqual(counted(3, 4));
      await accounts.save(account, { manager });
    });
    expect(await eventsOf(account)).toEqual(counted(1, 2, 3, 4));
    expect(accounts.versionOf(account)).toBe(4);
  });

  it('is as before even if its save was not awaited', async () => {
    const choices = random(seed());
    for (let round = 0; round < 30; round++) {
      const account = new Account(newRef().id).deposit(1);
      let saving: Promise<unknown> | undefined;
      const failing = given.dataSource.transaction(async (manager) => {
        saving = accounts.save(account, { manager });
        saving.catch(() => 'refused');
        for (let turns = choices.integer(0, 60); turns > 0; turns--) await Promise.resolve();
        if (choices.next() < 0.5) await manager.query('SELECT 1');
        throw rollback;
      });
      await expect(failing).rejects.toBe(rollback);
      await Promise.allSettled([saving]);
      expect(account.getUncommittedEvents()).toEqual(counted(1));
      expect(await accounts.save(account)).toMatchObject({ version: 1, duplicate: false });
    }
  });

  it('is as before even when the server answers the COMMIT with a rollback', async () => {
    const account = new Account(newRef().id).deposit(1);
    await given.dataSource.transaction(async (manager) => {
      await accounts.save(account, { manager });
      await manager.query('SELECT 1 / 0').catch(() => 'swallowed');
    });
    expect(await eventsOf(account)).toEqual([]);
    expect((await accounts.save(account)).records).toHaveLength(1);
    expect(await eventsOf(account)).toEqual(counted(1));
  });

  it.each<[string, (queryRunner: QueryRunner) => Promise<unknown>]>([
    ['released without an end', async () => undefined],
    ['ended by plain SQL', (queryRunner) => queryRunner.query('ROLLBACK')],
    [
      'lost with its connection',
      (queryRunner) =>
        queryRunner.query('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => 'gone'),
    ],
  ])('is as before even when the transaction is %s', async (_, end) => {
    const account = new Account(newRef().id).deposit(1);
    const queryRunner = given.dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    await accounts.save(account, { manager: queryRunner.manager });
    await end(queryRunner);
    await queryRunner.release();
    await eventually(() => account.getUncommittedEvents().length === 1);
    expect(await accounts.save(account)).toMatchObject({ version: 1, duplicate: false });
    expect(await eventsOf(account)).toEqual(counted(1));
  });

  it('is as before even when the commit fails', async () => {
    await given.dataSource.query(
      `CREATE TABLE parts (id text REFERENCES invoices DEFERRABLE INITIALLY DEFERRED)`,
    );
    const account = new Account(newRef().id).deposit(1);
    const failing = given.dataSource.transaction(async (manager) => {
      await accounts.save(account, { manager });
      await manager.query(`INSERT INTO parts VALUES ('no such invoice')`);
    });
    await expect(failing).rejects.toThrow('violates foreign key constraint');
    expect(await accounts.save(account)).toMatchObject({ version: 1, duplicate: false });
  });

  it('is as before when its connection is lost, and is stored once when it is saved again', async () => {
    const account = new Account(newRef().id).deposit(1);
    const failing = given.dataSource.transaction(async (manager) => {
      await accounts.save(account, { manager });
      await manager.query('SELECT pg_terminate_backend(pg_backend_pid())');
    });
    await expect(failing).rejects.toThrow('terminating connection');
    expect(await accounts.save(account)).toMatchObject({ version: 1, duplicate: false });
    expect(await eventsOf(account)).toEqual(counted(1));
  });
});
