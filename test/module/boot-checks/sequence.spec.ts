import { describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { eventually } from '../../support/eventually.ts';
import { consumer, startConsumers } from '../../support/consumers.ts';
import { Counted, openStore } from '../../support/store.ts';
import { Migrator } from '../../../lib/postgres/schema/migrator.ts';
import { tally } from '../../support/tally.ts';
import { parcel, ParcelSent, schema, useBoots } from './use-boots.ts';

const given = useBoots();
const { create, start, problemsOf } = given;

/** Starts a store with a consumer that records the positions of its events. */
async function startHearing() {
  const application = await given.database.dataSource();
  const store = await openStore(application);
  const heard: number[] = [];
  const started = await startConsumers(
    application,
    store,
    [
      consumer('heard', async (records) => {
        heard.push(...records.map(({ position }) => position));
      }),
    ],
    { leaseMs: 500 },
  );
  const stop = async (): Promise<void> => {
    await started.stop();
    await store.close();
  };
  return { ...started, store, heard, stop };
}

describe('the sequence of positions', () => {
  const setBack = async (admin: DataSource): Promise<void> => {
    await admin.query(`SELECT setval('${schema}.positions', 2)`);
    await admin.query(`SELECT setval('${schema}.aggregates_key_seq', 1)`);
  };
  const events = (count: number) => Array.from({ length: count }, (_, n) => new ParcelSent(`${n}`));

  /** Adds the checkpoint of a consumer at this position, which may be ahead of the sequence. */
  const putCheckpointAt = async (admin: DataSource, position: number): Promise<void> => {
    await admin.query(
      `INSERT INTO ${schema}.consumers (name, kind, partitions, generation)
        VALUES ('ahead', 'projection', 1, 1)`,
    );
    await admin.query(
      `INSERT INTO ${schema}.checkpoints (consumer, generation, partition, position)
        VALUES ('ahead', 1, 0, $1)`,
      [position],
    );
  };
  const countBelow = async (admin: DataSource, position: number): Promise<number> => {
    const sql = `SELECT count(*)::integer AS n FROM ${schema}.domain_events WHERE position <= $1`;
    return (await admin.query(sql, [position]))[0].n;
  };

  it.each(['check', 'off'] as const)(
    "that is behind the log is refused with '%s'",
    async (migrations) => {
      const admin = await create();
      const store = await start();
      await store.append(parcel('a'), events(5));
      await store.append(parcel('b'), events(5));
      await setBack(admin);
      expect(await problemsOf({ migrations })).toEqual([
        expect.stringMatching(/positions is at 2, behind position 10.*migrations: 'run'/),
        expect.stringMatching(/aggregates_key_seq is at 1, behind key \d+.*migrations: 'run'/),
      ]);
      tally('F26');
    },
  );

  it("that is behind the log is repaired with 'run'", async () => {
    const admin = await create();
    const first = await start();
    await first.append(parcel('a'), events(10));
    await first.append(parcel('b'), events(1));
    await setBack(admin);
    const store = await start();
    const { position } = await store.append(parcel('c'), events(1));
    expect(position).toBe(12);
    expect((await store.fetch(11)).records).toHaveLength(1);
    await start({ migrations: 'check' });
    tally('F26', { acknowledged: 3, lost: 0, skipped: 0 });
  });

  it('that is behind a checkpoint is repaired as well', async () => {
    const admin = await create();
    const store = await start();
    await store.append(parcel('a'), events(10));
    await putCheckpointAt(admin, 20);
    const again = await start();
    expect((await again.append(parcel('b'), events(1))).position).toBe(21);
  });

  it('that is behind a removed event is repaired as well', async () => {
    const admin = await create();
    const store = await start({ allowRemoval: true });
    await store.append(parcel('a'), events(10));
    await store.removeEvents(parcel('a'));
    await setBack(admin);
    const again = await start();
    expect((await again.append(parcel('b'), events(1))).position).toBe(11);
  });

  it('is reported by appends, and by consumers, which continue once it is repaired', async () => {
    const admin = await create();
    const { store, heard, control, messages, stop } = await startHearing();
    try {
      await store.append(
        parcel('a'),
        Array.from({ length: 10 }, () => new Counted(1)),
      );
      await control.waitFor('heard', 10);
      await setBack(admin);
      await eventually(() =>
        messages.some((message) => message.includes('is at 2, and position 10')),
      );
      await expect(store.append(parcel('a'), [new Counted(2)])).rejects.toMatchObject({
        code: 'CONSTRAINT_VIOLATED',
        message: expect.stringContaining("migrations: 'run'"),
      });
      await new Migrator(admin, schema).run();
      const { position } = await store.append(parcel('a'), [new Counted(3)]);
      await control.waitFor('heard', position);
      expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, position]);
    } finally {
      await stop();
    }
    tally('F26', { acknowledged: 2, lost: 0, skipped: 0, doubled: 0 });
  });

  it('with a cache halts consumers until it is repaired', async () => {
    const admin = await create();
    const { store, heard, control, messages, stop } = await startHearing();
    try {
      await store.append(parcel('a'), [new Counted(1)]);
      await control.waitFor('heard', 1);
      await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 50`);
      await eventually(() => messages.some((message) => message.includes('it has a cache')));
      await eventually(async () => (await control.list()).consumers[0]!.status === 'waiting');
      await new Migrator(admin, schema).run();
      const { position } = await store.append(parcel('a'), [new Counted(2)]);
      await control.waitFor('heard', position);
      expect(heard).toEqual([1, position]);
    } finally {
      await stop();
    }
    tally('F26', { acknowledged: 2, lost: 0, skipped: 0, doubled: 0 });
  });

  it('with a cache is refused, and repaired although connections have drawn ahead', async () => {
    const admin = await create();
    const store = await start();
    await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 50`);
    expect(await problemsOf({ migrations: 'check' })).toEqual([
      expect.stringMatching(/CACHE 50 NO CYCLE instead of.*CACHE 1.*migrations: 'run'/),
    ]);
    const { position: cached } = await store.append(parcel('a'), events(1));
    const other = await start();
    const { position } = await other.append(parcel('b'), events(1));
    expect(position).toBeGreaterThan(cached + 1);
    // Without the repair, the first connection would still use the positions of its block.
    expect((await store.append(parcel('c'), events(1))).position).toBe(position + 1);
    tally('F26', { acknowledged: 3 });
  });

  it('is repaired once the appends that are open have ended', async () => {
    const admin = await create();
    const store = await start();
    await putCheckpointAt(admin, 1_000);
    let repairing: Promise<unknown> | undefined;
    await admin.transaction(async (manager) => {
      await store.append(parcel('open'), events(1), { manager });
      repairing = start();
      await eventually(async () => {
        const waiting: unknown[] = await manager.query(
          `SELECT FROM pg_locks AS k JOIN pg_database AS d ON d.oid = k.database
            WHERE d.datname = current_database() AND NOT k.granted`,
        );
        return waiting.length > 0;
      });
    });
    await repairing;
    expect((await store.append(parcel('b'), events(1))).position).toBe(1_001);
  });

  it('is repaired beside appends of other processes: none is stored below it afterwards', async () => {
    const admin = await create();
    const writers = await Promise.all([1, 2, 3].map(() => start()));
    await admin.query(`ALTER SEQUENCE ${schema}.positions CACHE 20`);
    let isOver = false;
    let before = 0;
    const writing = writers.map(async (store, writer) => {
      for (let n = 0; !isOver; n++) {
        const aggregate = parcel(`w-${writer}-${n % 5}`);
        const { position } = await store.append(aggregate, events(1 + (n % 3)));
        if (position < 1_000_000) before += 1;
      }
    });
    await eventually(() => before > 30);
    await putCheckpointAt(admin, 1_000_000);
    await start();
    const stored = await countBelow(admin, 1_000_000);
    const wereBefore = before;
    await eventually(async () => (await writers[0]!.currentPosition()) > 1_000_100);
    isOver = true;
    await Promise.all(writing);
    expect(await countBelow(admin, 1_000_000)).toBe(stored);
    // At most the answers that were in flight.
    expect(before - wereBefore).toBeLessThanOrEqual(writers.length);
    tally('F26', { acknowledged: before });
  });
});
