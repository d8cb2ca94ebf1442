import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { QueryRunner } from 'typeorm';
import { lockNamespace } from '../../lib/postgres/schema/schema-name.ts';
import type { AppendResult } from '../../lib/store/appending/append.ts';
import { createTestDatabase } from '../support/database.ts';
import { Counted, openStore } from '../support/store.ts';
import { countCopies, tally } from '../support/tally.ts';
import { useStore } from '../support/use-store.ts';

type Level = 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';
type Step =
  'begin' | 'append' | 'commit' | 'rollback' | 'savepoint' | 'undo' | 'prepare' | 'commit prepared';

const kinds = {
  commit: ['begin', 'append', 'commit'],
  rollback: ['begin', 'append', 'rollback'],
  several: ['begin', 'append', 'append', 'commit'],
  savepoint: ['begin', 'savepoint', 'append', 'undo', 'append', 'commit'],
  prepared: ['begin', 'append', 'prepare', 'commit prepared'],
} as const satisfies Record<string, readonly Step[]>;

const given = useStore();

/** One transaction, run step by step. */
class SteppedTransaction {
  /** Appended, and neither committed nor undone. */
  open: number[] = [];
  committed: number[] = [];
  readonly #aggregate = { type: 'counter', id: randomUUID() };
  readonly #name = randomUUID();

  constructor(
    private readonly runner: QueryRunner,
    private readonly level: Level,
  ) {}

  async take(step: Step): Promise<void> {
    switch (step) {
      case 'begin':
        await this.runner.startTransaction(this.level);
        // From REPEATABLE READ on, everything is as it was at the first statement.
        await this.runner.query('SELECT 1');
        return;
      case 'append': {
        const { manager } = this.runner;
        const { position } = await given.store.append(this.#aggregate, [new Counted(1)], {
          manager,
        });
        this.open.push(position);
        return;
      }
      case 'savepoint':
        await this.runner.query('SAVEPOINT here');
        return;
      case 'undo':
        await this.runner.query('ROLLBACK TO SAVEPOINT here');
        this.open = [];
        return;
      case 'rollback':
        await this.runner.rollbackTransaction();
        this.open = [];
        return;
      case 'prepare':
        await this.runner.query(`PREPARE TRANSACTION '${this.#name}'`);
        // There is nothing left to commit, but the query runner does not know that.
        await this.runner.commitTransaction();
        return;
      case 'commit':
        await this.runner.commitTransaction();
        break;
      case 'commit prepared':
        await this.runner.query(`COMMIT PREPARED '${this.#name}'`);
    }
    this.committed = this.open;
    this.open = [];
  }
}

/** All interleavings of the steps of two transactions, each as a list of whose turn it is. */
function interleavings(first: number, second: number): (0 | 1)[][] {
  if (first === 0) return [Array<1>(second).fill(1)];
  if (second === 0) return [Array<0>(first).fill(0)];
  return [
    ...interleavings(first - 1, second).map((rest): (0 | 1)[] => [0, ...rest]),
    ...interleavings(first, second - 1).map((rest): (0 | 1)[] => [1, ...rest]),
  ];
}

describe('a reader of the log beside two transactions in every order', () => {
  const levels: Level[] = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'];
  const cases = levels.flatMap((level) =>
    (Object.keys(kinds) as (keyof typeof kinds)[])
      .filter((kind) => level === 'READ COMMITTED' || kind === 'commit' || kind === 'rollback')
      .map((kind) => [level, kind] as const),
  );

  it.each(cases)(
    'sees at %s (%s) every settled event at once, and never fewer',
    async (level, kind) => {
      const runners = [
        given.dataSource.createQueryRunner(),
        given.dataSource.createQueryRunner(),
      ] as const;
      const steps = [kinds[kind], kinds.commit] as const;
      const orders = interleavings(steps[0].length, steps[1].length);
      const committedInAll: number[] = [];
      const seenInAll: number[] = [];
      try {
        for (const turns of orders) {
          const both = runners.map((runner) => new SteppedTransaction(runner, level));
          const left = steps.map((each): Step[] => [...each]);
          const start = await given.store.currentPosition();
          let after = start;
          const seen: number[] = [];
          const done: string[] = [];
          for (const turn of turns) {
            const step = left[turn]!.shift()!;
            done.push(`${turn} ${step}`);
            await both[turn]!.take(step);
            const page = await given.store.fetch(after);
            after = page.position;
            seen.push(...page.records.map(({ position }) => position));

            const committed = both.flatMap((each) => each.committed).toSorted((a, b) => a - b);
            const wall = Math.min(...both.flatMap((each) => each.open));
            const settled = committed.filter((position) => position < wall);
            expect({ done, seen }).toEqual({ done, seen: settled });
          }
          committedInAll.push(...both.flatMap((each) => each.committed));
          seenInAll.push(...seen);
        }
        const { lost: skipped, doubled } = countCopies(committedInAll, seenInAll);
        const acknowledged = committedInAll.length;
        tally('F7', { runs: orders.length, acknowledged, doubled, skipped });
      } finally {
        for (const runner of runners) await runner.release();
      }
    },
  );
});

describe('a reader of the log', () => {
  let acknowledged = 0;
  beforeEach(() => void (acknowledged = 0));

  async function append(): Promise<AppendResult> {
    const result = await given.store.append({ type: 'counter', id: 'free' }, [new Counted(1)]);
    acknowledged += 1;
    return result;
  }

  /** Whether an event can be read as soon as it is appended. */
  async function readsAtOnce(): Promise<boolean> {
    const { position } = await append();
    const { records } = await given.store.fetch(position - 1);
    return records.some((record) => record.position === position);
  }

  it('waits for no transaction of another database', async () => {
    const other = await createTestDatabase();
    const otherSource = await other.dataSource();
    const otherStore = await openStore(otherSource);
    await otherSource.transaction(async (manager) => {
      await otherStore.append({ type: 'counter', id: 'held' }, [new Counted(1)], { manager });
      expect(await readsAtOnce()).toBe(true);
    });
    await other.drop();
    tally('F8', { acknowledged });
  });

  it('waits for no transaction that writes something else', async () => {
    const client = new Client({ connectionString: given.database.url });
    await client.connect();
    await client.query('CREATE TABLE other (n integer)');
    await client.query('BEGIN');
    await client.query('INSERT INTO other VALUES (1)');
    await client.query('SELECT pg_advisory_xact_lock_shared(1)');
    // Looks like a lock of the store, except that its key is one number instead of two.
    const lookalike = BigInt(lockNamespace('event_store')) << 32n;
    await client.query('SELECT pg_advisory_xact_lock_shared($1)', [lookalike]);
    expect(await readsAtOnce()).toBe(true);
    await client.query('ROLLBACK');
    await client.end();
    tally('F8', { acknowledged });
  });

  it('never goes back for a writer that is late to register', async () => {
    const { position } = await append();
    const late = new Client({ connectionString: given.database.url });
    await late.connect();
    await late.query('BEGIN');
    // It has read the sequence before the last event was appended, and takes its lock only now.
    const key = [lockNamespace('event_store'), position - 1];
    await late.query('SELECT pg_advisory_xact_lock_shared($1, $2)', key);
    expect((await given.store.horizon()).position).toBe(position - 1);
    expect(await given.store.fetch(position)).toEqual({ position, records: [] });
    await late.end();
    tally('F7', { acknowledged });
  });

  it('passes over a writer that has registered since the end of the log was read', async () => {
    const { position } = await append();
    const writer = new Client({ connectionString: given.database.url });
    await writer.connect();
    await writer.query('BEGIN');
    // As it looks to a reader that has read the sequence before the last appends.
    const key = [lockNamespace('event_store'), position + 5];
    await writer.query('SELECT pg_advisory_xact_lock_shared($1, $2)', key);
    expect(await given.store.currentPosition()).toBe(position);
    expect(await given.store.horizon()).toMatchObject({ position, openAppends: [] });
    expect((await given.store.fetch(position - 1)).records).toHaveLength(1);
    await writer.end();
    tally('F7', { acknowledged });
  });

  it('waits for an open transaction that has appended, which is named, and for no longer', async () => {
    const applicationName = 'forgetful';
    const forgetful = await given.database.dataSource({ applicationName });
    const runner = forgetful.createQueryRunner();
    await runner.startTransaction();
    const [{ pid }] = await runner.query('SELECT pg_backend_pid() AS pid');
    await given.store.append({ type: 'counter', id: 'held' }, [new Counted(1)], {
      manager: runner.manager,
    });
    expect(await readsAtOnce()).toBe(false);
    expect((await given.store.horizon()).openAppends).toMatchObject([{ pid, applicationName }]);
    await runner.rollbackTransaction();
    await runner.release();
    expect(await readsAtOnce()).toBe(true);
    tally('F9', { acknowledged });
  });
});
