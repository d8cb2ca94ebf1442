import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { Migrator } from '../../lib/postgres/schema/migrator.ts';
import { consumer, startConsumers } from '../support/consumers.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { random, seed, type Random } from '../support/random.ts';
import { Counted, openStore, type TestStore } from '../support/store.ts';
import { tally } from '../support/tally.ts';

/** An append that was answered. */
interface Answer {
  readonly position: number;
  /** Begun after a repair, and answered before the sequence was damaged again. */
  readonly isSound: boolean;
}

/** The number of events up to the last position in use at a repair, counted twice. */
interface Repair {
  /** The epoch that begins with it. */
  readonly epoch: number;
  readonly bound: number;
  /** Right after the repair. */
  readonly stored: number;
  /** Before the next damage, when every append that was open at the repair has ended. */
  later: number;
}

const wantedRepairs = 6;
const aggregates = Array.from({ length: 12 }, (_, n) => ({ type: 'counter', id: `c${n}` }));
const rollback = new Error('rolled back on purpose');
const schema = 'event_store';

describe('the sequence of positions, damaged and repaired again and again', () => {
  let database: TestDatabase;
  let admin: DataSource;

  beforeEach(async () => {
    database = await createTestDatabase();
    admin = await database.dataSource();
    await openStore(admin);
    await admin.query('CREATE TABLE public.seen (n bigserial, position bigint)');
    await admin.query(
      `INSERT INTO ${schema}.consumers (name, kind, partitions, generation)
        VALUES ('ahead', 'projection', 1, 1)`,
    );
    await admin.query(
      `INSERT INTO ${schema}.checkpoints (consumer, generation, partition, position)
        VALUES ('ahead', 1, 0, 0)`,
    );
  });
  afterEach(() => database.drop());

  const one = async <T>(sql: string, values: readonly unknown[] = []): Promise<T> =>
    (await admin.query(sql, [...values]))[0].value;
  const storedUpTo = (bound: number): Promise<number> =>
    one(`SELECT count(*)::integer AS value FROM ${schema}.domain_events WHERE position <= $1`, [
      bound,
    ]);

  /** After each, the sequence draws positions that are in use, or that consumers have passed. */
  const damages: Record<string, (choices: Random) => Promise<unknown>> = {
    'set back': (choices) =>
      admin.query(
        `SELECT setval('${schema}.positions', greatest(1, floor(max(position) * $1::float8)::bigint))
          FROM ${schema}.domain_events`,
        [choices.next() / 2],
      ),
    'with a cache': (choices) =>
      admin.query(`ALTER SEQUENCE ${schema}.positions CACHE ${choices.integer(2, 40)}`),
    'behind a checkpoint': (choices) =>
      admin.query(
        `UPDATE ${schema}.checkpoints SET position = $1 + (SELECT last_value FROM ${schema}.positions)
          WHERE consumer = 'ahead'`,
        [choices.integer(50, 500)],
      ),
  };

  it('hands out no position twice, none below a checkpoint, and none that consumers miss', async () => {
    const choices = random(seed());
    const writers = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const source = await database.dataSource({ poolSize: 6 });
        return { source, store: await openStore(source, { lockTimeoutMs: 60_000 }) };
      }),
    );
    const reading = await database.dataSource();
    const process = await startConsumers(
      reading,
      await openStore(reading),
      [
        consumer('reading', async (records, _, manager) => {
          const positions = records.map(({ position }) => position);
          await manager!.query(
            'INSERT INTO public.seen (position) SELECT * FROM unnest($1::bigint[])',
            [positions],
          );
        }),
      ],
      { leaseMs: 600 },
    );

    const answers: Answer[] = [];
    let isOver = false;
    // Even while the sequence is sound, odd from its damage to its repair.
    let epoch = 0;
    const write = async (
      { source, store }: { source: DataSource; store: TestStore },
      own: Random,
    ): Promise<void> => {
      const begun = epoch;
      try {
        const position = await appendOnce(source, store, own);
        answers.push({ position, isSound: begun === epoch && begun % 2 === 0 });
      } catch (error) {
        // Only a damaged sequence may make an append fail.
        if (error !== rollback && begun === epoch && begun % 2 === 0) throw error;
      }
    };
    const writing = writers.flatMap((writer) =>
      [1, 2, 3].map(async () => {
        const own = random(choices.integer(0, 2 ** 31));
        while (!isOver) await write(writer, own);
      }),
    );

    const soundAnswers = (): number => answers.filter(({ isSound }) => isSound).length;
    const repairs: Repair[] = [];
    const work = async (): Promise<void> => {
      const before = soundAnswers();
      await eventually(() => soundAnswers() > before + 30);
      // Only the last repair is checked: a later damage lets appends fill gaps below earlier bounds.
      const last = repairs.at(-1);
      if (last && epoch === last.epoch) last.later = await storedUpTo(last.bound);
    };
    const damage = async (): Promise<void> => {
      epoch += 1;
      await damages[choices.pick(Object.keys(damages))]!(choices);
      await delay(choices.integer(0, 40));
    };
    const repair = async (booting: readonly DataSource[]): Promise<void> => {
      const bound = await one<number>(
        `SELECT greatest(max(e.position), max(k.position))::float8 AS value
          FROM ${schema}.checkpoints AS k CROSS JOIN ${schema}.domain_events AS e`,
      );
      const repaired = await Promise.all(
        booting.map((source) => new Migrator(source, schema).run()),
      );
      // Failed appends draw numbers too, so a sequence that was set back may have advanced by itself.
      if (repaired.flat().length > 0) {
        const stored = await storedUpTo(bound);
        repairs.push({ epoch: epoch + 1, bound, stored, later: stored });
      }
      epoch += 1;
    };
    const working = async (): Promise<void> => {
      while (repairs.length < wantedRepairs) {
        const boots = Array.from({ length: choices.integer(1, 3) }, () => database.dataSource());
        const booting = await Promise.all(boots);
        await work();
        await damage();
        await repair(booting);
        await Promise.all(booting.map((source) => source.destroy()));
      }
      await work();
    };
    try {
      await Promise.race([working(), Promise.all(writing)]);
    } finally {
      isOver = true;
    }
    await Promise.all(writing);

    try {
      await process.control.waitFor('reading', Math.max(...answers.map((each) => each.position)));
    } finally {
      await process.stop();
    }
    const rows: { position: number }[] = await admin.query(
      'SELECT position::float8 FROM public.seen ORDER BY n',
    );
    const seen = rows.map(({ position }) => position);
    expect(repairs.filter(({ stored, later }) => later !== stored)).toEqual([]);
    expect(new Set(answers.map(({ position }) => position)).size).toBe(answers.length);
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b));
    const known = new Set(seen);
    const missed = answers.filter(({ position, isSound }) => isSound && !known.has(position));
    expect(missed).toEqual([]);
    tally('F26', {
      runs: wantedRepairs,
      acknowledged: answers.length,
      lost: 0,
      doubled: 0,
      skipped: 0,
    });
  });
});

/** One append, or a transaction that stays open for a while; returns the position of its last event. */
async function appendOnce(source: DataSource, store: TestStore, choices: Random): Promise<number> {
  const events = () => Array.from({ length: choices.integer(1, 3) }, () => new Counted(1));
  const aggregate = choices.pick(aggregates);
  const kind = choices.pick(['append', 'transaction', 'transaction', 'rollback'] as const);
  if (kind === 'append') return (await store.append(aggregate, events())).position;
  return source.transaction(async (manager) => {
    const { position } = await store.append(aggregate, events(), { manager });
    await delay(choices.integer(0, 30));
    if (kind === 'rollback') throw rollback;
    return position;
  });
}
