import { describe, expect, it } from '@jest/globals';
import { counted, Counter, repositoryOf, rollback, useCounters } from './use-counters.ts';

const given = useCounters();
const { newCounter, rolledBack, transactional } = given;

describe('an aggregate in a transaction', () => {
  it('is saved and executed with it, or not at all', async () => {
    const { id } = newCounter();
    const created = new Counter(id);
    created.count(1);
    await rolledBack((manager) => given.counters.save(created, { manager }));
    expect(await given.counters.find(id)).toBeNull();

    const again = new Counter(id);
    again.count(1);
    await given.dataSource.transaction(async (manager) => {
      await given.counters.save(again, { manager });
      const { version, result } = await given.counters.execute(id, (counter) => counter.count(2), {
        manager,
      });
      expect([version, result]).toEqual([2, 3]);
      expect((await given.counters.load(id, { manager })).total).toBe(3);
      expect(await given.counters.find(id)).toBeNull();
    });
    expect((await given.counters.load(id)).total).toBe(3);
  });

  it('is not served from memory as it was in a transaction that was rolled back', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    await given.counters.execute(counter.id, (cached) => cached.count(1));

    await rolledBack((manager) =>
      given.counters.execute(counter.id, (inside) => inside.count(100), { manager }),
    );
    const joined = transactional(async () => {
      await given.counters.execute(counter.id, (inside) => inside.count(1000));
      throw rollback;
    });
    await expect(joined).rejects.toBe(rollback);

    // Now at the version that it had in the transaction, with another event.
    await given.store.append(counter, counted(5));
    const { version, result } = await given.counters.execute(counter.id, (after) => after.count(1));
    expect([version, result]).toEqual([4, 8]);
    expect(await given.store.getSnapshot(counter)).toBeNull();
  });

  it('is tried again in the same transaction after a conflict', async () => {
    const counter = newCounter();
    await given.store.append(counter, counted(1));
    const totals: number[] = [];
    await given.dataSource.transaction(async (manager) => {
      await given.counters.execute(
        counter.id,
        async (inside) => {
          if (totals.length === 0) await given.store.append(counter, counted(10));
          totals.push(inside.count(1));
        },
        { manager },
      );
    });
    expect(totals).toEqual([2, 12]);
    expect(await given.store.currentVersion(counter)).toBe(3);
  });

  it('commits although the database refused its snapshot', async () => {
    const counter = newCounter();
    const warnings: string[] = [];
    await given.dataSource.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused on purpose'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE OF snapshot_state ON event_store.aggregates
        FOR EACH ROW WHEN (NEW.id = '${counter.id}') EXECUTE FUNCTION refuse()`);
    const saved = new Counter(counter.id);
    for (const by of [1, 2, 3]) saved.count(by);
    await given.dataSource.transaction(async (manager) => {
      await repositoryOf(given.store, warnings).save(saved, { manager });
      await manager.query('INSERT INTO orders VALUES ($1)', [counter.id]);
    });
    expect(warnings).toEqual([`No snapshot of counter/${counter.id} at version 3 was taken.`]);
    expect(await given.store.currentVersion(counter)).toBe(3);
    expect(
      await given.dataSource.query('SELECT FROM orders WHERE id = $1', [counter.id]),
    ).toHaveLength(1);
  });
});
