import { describe, expect, it, jest } from '@jest/globals';
import { WrongExpectedVersionError } from 'nest-event-store';
import { Basket, ItemAdded, useBaskets } from './use-baskets.ts';

const given = useBaskets();
const { ref, versionOf, filled } = given;

describe('executing', () => {
  it.each([{ retries: -1 }, { retries: Number.NaN }, { retries: '3' }, { expectedVersion: 'any' }])(
    'with %j is refused before the work runs',
    async (options) => {
      await filled('pen');
      const work = jest.fn();
      await expect(given.baskets.execute(given.id, work, options as object)).rejects.toThrow(
        TypeError,
      );
      expect(work).not.toHaveBeenCalled();
    },
  );

  it('one aggregate concurrently always succeeds, one call after another, in call order', async () => {
    await filled('pen');
    const order: number[] = [];
    const executions = Array.from({ length: 16 }, (_, n) =>
      given.baskets.execute(
        given.id,
        async (basket) => {
          order.push(n);
          await given.store.currentVersion(ref());
          basket.add(`item ${n}`);
        },
        { retries: 0 },
      ),
    );
    const versions = (await Promise.all(executions)).map(({ version }) => version);
    expect(versions).toEqual(Array.from({ length: 16 }, (_, n) => n + 2));
    expect(order).toEqual(Array.from({ length: 16 }, (_, n) => n));
  });

  it('inside the work of the same aggregate is refused, however deep, and the outer one succeeds', async () => {
    await filled('pen');
    const other = new Basket(`${given.id}-other`);
    other.add('pen');
    await given.baskets.save(other);
    const refusals: unknown[] = [];
    const { version } = await given.baskets.execute(given.id, async (basket) => {
      await given.baskets.execute(other.id, async () => {
        await given.baskets
          .execute(given.id, (inner) => inner.add('never'))
          .catch((e) => refusals.push(e));
      });
      basket.add('ink');
    });
    expect(refusals).toEqual([
      expect.objectContaining({
        code: 'NESTED_EXECUTE',
        aggregate: { type: 'basket', id: given.id },
      }),
    ]);
    expect(version).toBe(2);
    expect((await given.baskets.load(given.id)).items).toEqual({ pen: 1, ink: 1 });
  });

  it('loads, works, saves, and answers with what the work returned', async () => {
    await filled('pen');
    const executed = await given.baskets.execute(
      given.id,
      async (basket) => {
        basket.add('ink');
        return Object.keys(basket.items);
      },
      { metadata: { actor: 'ada' } },
    );
    expect(executed).toMatchObject({ version: 2, result: ['pen', 'ink'], duplicate: false });
    expect(executed.records[0]!.metadata).toEqual({ actor: 'ada' });
    const nothing = await given.baskets.execute(given.id, (basket) => basket.items);
    expect(nothing).toMatchObject({ version: 2, records: [], result: { pen: 1, ink: 1 } });
  });

  it('runs the work again on what is stored now after a conflict', async () => {
    await filled('pen');
    const seen: string[][] = [];
    const { version } = await given.baskets.execute(given.id, async (basket) => {
      seen.push(Object.keys(basket.items));
      if (seen.length < 3) await given.store.append(ref(), [new ItemAdded(`other-${seen.length}`)]);
      basket.add('mine');
    });
    expect(seen).toEqual([['pen'], ['pen', 'other-1'], ['pen', 'other-1', 'other-2']]);
    expect(version).toBe(4);
  });

  it('gives up after the given number of retries', async () => {
    await filled('pen');
    let runs = 0;
    const disturbed = (retries?: number) =>
      given.baskets.execute(
        given.id,
        async (basket) => {
          runs += 1;
          await given.store.append(ref(), [new ItemAdded('other')]);
          basket.add('mine');
        },
        retries === undefined ? {} : { retries },
      );
    await expect(disturbed()).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(4);
    await expect(disturbed(0)).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(5);
  });

  it('at an expected version runs once, or not at all', async () => {
    await filled('pen');
    let runs = 0;
    const work = (basket: Basket) => {
      runs += 1;
      basket.add('ink');
    };
    expect((await given.baskets.execute(given.id, work, { expectedVersion: 1 })).version).toBe(2);
    await expect(
      given.baskets.execute(given.id, work, { expectedVersion: 1 }),
    ).rejects.toMatchObject({
      constructor: WrongExpectedVersionError,
      expectedVersion: 1,
      actualVersion: 2,
    });
    expect(runs).toBe(1);

    const disturbed = given.baskets.execute(
      given.id,
      async (basket) => {
        await given.store.append(ref(), [new ItemAdded('other')]);
        work(basket);
      },
      { expectedVersion: 2 },
    );
    await expect(disturbed).rejects.toThrow(WrongExpectedVersionError);
    expect(runs).toBe(2);
    // The refused ones have left nothing in memory.
    const { result } = await given.baskets.execute(given.id, (basket) => ({ ...basket.items }));
    expect(result).toEqual({ pen: 1, ink: 1, other: 1 });
  });

  it('refuses a work that is no function, before it reads', async () => {
    await expect(given.baskets.execute('nobody', undefined as never)).rejects.toThrow(
      'execute: the work must be a function, got undefined.',
    );
  });

  it('passes an error of the work on, and saves nothing', async () => {
    const basket = await filled('pen');
    basket.checkOut();
    await given.baskets.save(basket);
    await expect(given.baskets.execute(given.id, (loaded) => loaded.add('ink'))).rejects.toThrow(
      `${given.id} is checked out.`,
    );
    expect(await versionOf()).toBe(2);
  });
});
