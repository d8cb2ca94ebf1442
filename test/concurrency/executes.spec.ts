import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { AggregateRoot } from '@nestjs/cqrs';
import { Aggregate, type AggregateRepository } from 'nest-event-store';
import { AggregateRepositories } from '../../lib/aggregates/aggregate-repositories.ts';
import { random, seed } from '../support/random.ts';
import { Counted } from '../support/store.ts';
import { useStore } from '../support/use-store.ts';

@Aggregate('counter')
class Counter extends AggregateRoot<object> {
  total = 0;

  constructor(readonly id: string) {
    super();
  }

  count(by: number): void {
    this.apply(new Counted(by));
  }

  onCounted({ by }: Counted): void {
    this.total += by;
  }
}

const given = useStore();
let counters: AggregateRepository<Counter>;
let ids = 0;

beforeAll(async () => {
  counters = newRepository();
});

/** Makes a repository that shares nothing with the others, as if in a process of its own. */
const newRepository = (): AggregateRepository<Counter> =>
  new AggregateRepositories(given.store, { cacheSize: 10, onWarning: () => undefined }).of(Counter);

async function newCounter(): Promise<string> {
  const counter = new Counter(`c-${(ids += 1)}`);
  counter.count(0);
  await counters.save(counter);
  return counter.id;
}

/** A promise, and the function that resolves it. */
function gate() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

const totalOf = async (id: string): Promise<number> => (await counters.load(id)).total;

describe('executes at the same moment', () => {
  it('in random order meet no conflict, and have the same result as one after another', async () => {
    const { integer, pick, next } = random(seed());
    const all = await Promise.all([newCounter(), newCounter(), newCounter()]);
    const expected = new Map(all.map((id) => [id, 0]));
    const called = new Map(all.map((id) => [id, [] as number[]]));
    const begun = new Map(all.map((id) => [id, [] as number[]]));
    const outcomes: Promise<[number, string]>[] = [];
    const wanted: [number, string][] = [];
    for (let n = 0; n < 150; n++) {
      const id = pick(all);
      const by = integer(1, 1_000);
      const fails = next() < 0.2;
      const waitMs = integer(0, 3);
      called.get(id)!.push(n);
      if (!fails) expected.set(id, expected.get(id)! + by);
      const execution = counters.execute(
        id,
        async (counter) => {
          begun.get(id)!.push(n);
          counter.count(by);
          if (waitMs > 0) await sleep(waitMs);
          if (fails) throw new Error('on purpose');
        },
        { retries: 0 },
      );
      const outcome = execution.then(
        () => 'stored',
        (error: Error) => error.message,
      );
      outcomes.push(outcome.then((text): [number, string] => [n, text]));
      wanted.push([n, fails ? 'on purpose' : 'stored']);
      if (next() < 0.1) await sleep(integer(0, 5));
    }
    expect(await Promise.all(outcomes)).toEqual(wanted);
    expect(begun).toEqual(called);
    for (const id of all) expect([id, await totalOf(id)]).toEqual([id, expected.get(id)]);
  });

  it('of several processes, in transactions and nested, all end and are counted once each', async () => {
    const { integer, pick, next } = random(seed());
    const all = await Promise.all([newCounter(), newCounter(), newCounter()]);
    const repositories = [counters, newRepository(), newRepository()];
    const expected = new Map(all.map((id) => [id, 0]));
    const retries = 1_000;
    const count = (id: string): void => void expected.set(id, expected.get(id)! + 1);

    const plain = (id: string) =>
      pick(repositories).execute(id, (counter) => counter.count(1), { retries });
    const inTransaction = (id: string) =>
      given.dataSource.transaction(async (manager) => {
        const repository = pick(repositories);
        const once = () =>
          repository.execute(id, (counter) => counter.count(1), { retries, manager });
        await once();
        await sleep(integer(0, 5));
        // While others wait for the row that this transaction holds.
        await Promise.all([once(), once()]);
      });
    const nested = async (outer: string, inner: string) => {
      let isDone = false;
      await pick(repositories).execute(
        outer,
        async (counter) => {
          counter.count(1);
          // Only once, although the outer work may be run again.
          if (!isDone) await plain(inner);
          isDone = true;
        },
        { retries },
      );
    };
    await Promise.all(
      Array.from({ length: 60 }, async () => {
        const [id, other] = [pick(all), pick(all)];
        const kind = next();
        if (kind < 0.2) {
          for (let n = 0; n < 3; n++) count(id);
          await inTransaction(id);
        } else if (kind < 0.5 && id !== other) {
          count(id);
          count(other);
          await nested(id, other);
        } else {
          count(id);
          await plain(id);
        }
      }),
    );
    for (const id of all) expect([id, await totalOf(id)]).toEqual([id, expected.get(id)]);
  });

  it('inside the work of another aggregate go ahead of those that wait for their turn', async () => {
    const [left, right] = await Promise.all([newCounter(), newCounter()]);
    const order = { [left]: new Set<string>(), [right]: new Set<string>() };
    const begun = { [left]: gate(), [right]: gate() };
    const begunInside = { [left]: gate(), [right]: gate() };
    const waiting = gate();
    const one = (id: string, name: string) =>
      counters.execute(id, (counter) => {
        order[id]!.add(name);
        if (name === 'inside') begunInside[id]!.open();
        counter.count(1);
      });
    // Each runs inside the work of the other's aggregate: waiting for turns would be a circle.
    const outer = (id: string, inner: string) => {
      let isDone = false;
      return counters.execute(id, async (counter) => {
        counter.count(1);
        if (isDone) return;
        isDone = true;
        begun[id]!.open();
        await waiting.opened;
        await one(inner, 'inside');
        await begunInside[id]!.opened;
      });
    };
    const outers = [outer(left, right), outer(right, left)];
    await Promise.all([begun[left]!.opened, begun[right]!.opened]);
    const behind = [one(left, 'behind'), one(right, 'behind')];
    waiting.open();
    await Promise.all([...outers, ...behind]);
    expect([...order[left]!]).toEqual(['inside', 'behind']);
    expect([...order[right]!]).toEqual(['inside', 'behind']);
    expect([await totalOf(left), await totalOf(right)]).toEqual([3, 3]);
  });

  it('do not wait for one that is waiting for their own transaction', async () => {
    const id = await newCounter();
    const order = new Set<string>();
    const begun = gate();
    const one = (name: string, options: object = {}) =>
      counters.execute(
        id,
        (counter) => {
          order.add(name);
          if (name === 'outside') begun.open();
          counter.count(1);
        },
        options,
      );
    let outside: Promise<unknown>[] = [];
    await given.dataSource.transaction(async (manager) => {
      await one('first', { manager });
      outside = [one('outside'), one('behind')];
      // It has its turn by now, and is about to wait for the row.
      await begun.opened;
      await one('second', { manager });
    });
    await Promise.all(outside);
    expect([...order]).toEqual(['first', 'outside', 'second', 'behind']);
    expect(await totalOf(id)).toBe(4);
  });
});
