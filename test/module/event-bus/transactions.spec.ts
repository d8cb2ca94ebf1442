import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EventData, recordOf } from 'nest-event-store';
import { eventually } from '../../support/eventually.ts';
import {
  order,
  OrderPacked,
  OrderPlaced,
  OrderShipped,
  type Started,
  useListener,
} from './use-listener.ts';

const { applications, newSchema, start } = useListener();

describe("an append in a caller's transaction", () => {
  const rollback = new Error('rolled back on purpose');
  let started: Started;

  beforeAll(async () => {
    started = await start({ schema: newSchema() });
    applications.length = 0;
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

  it('is published before later appends to its aggregate that waited for it', async () => {
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

  it('comes before later events until its connection is released, if plain SQL ended it', async () => {
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

  it('keeps nothing waiting once it is rolled back, even if its connection is kept', async () => {
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

  it('is not published if its savepoint is rolled back, while the rest is', async () => {
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
