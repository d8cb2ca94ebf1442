import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { ambient, counted, rollback, useCounters } from './use-counters.ts';

const given = useCounters();
const { newCounter, rolledBack, transactional, rowsOf } = given;

describe('an ambient transaction', () => {
  it('is joined by every call', async () => {
    const counter = newCounter();
    const seen: unknown[] = [];
    const work = transactional(async () => {
      await given.store.append(counter, counted(1, 2));
      await given.store.appendAll([{ aggregate: counter, events: counted(3) }]);
      await given.store.snapshot(counter, { total: 6 }, 3);
      seen.push(
        await given.store.currentVersion(counter),
        (await given.store.fetchByAggregate(counter)).version,
        (await given.store.fetchHistory(counter)).version,
        (await given.store.getSnapshot(counter))?.version,
        await ambient.exit(() => given.store.currentVersion(counter)),
        await given.store.removeEvents(counter),
      );
      throw rollback;
    });
    await expect(work).rejects.toBe(rollback);
    expect(seen).toEqual([3, 3, 3, 3, 0, 3]);
    expect(await rowsOf(counter)).toBe(0);
  });

  it('gives way to a manager that is passed', async () => {
    const counter = newCounter();
    await rolledBack((outer) =>
      ambient.run(outer, () =>
        given.dataSource.transaction((manager) =>
          given.store.append(counter, counted(1), { manager }),
        ),
      ),
    );
    expect(await given.store.currentVersion(counter)).toBe(1);
  });

  it('is ignored if its manager has no transaction, or if the transaction has ended', async () => {
    const counter = newCounter();
    await ambient.run(given.dataSource.manager, () => given.store.append(counter, counted(1)));
    let ended: EntityManager | undefined;
    await transactional(async () => {
      ended = ambient.getStore();
      await given.store.append(counter, counted(2));
    });
    await ambient.run(ended!, () => given.store.append(counter, counted(3)));
    expect(await given.store.currentVersion(counter)).toBe(3);
  });
});
