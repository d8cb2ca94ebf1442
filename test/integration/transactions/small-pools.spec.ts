import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { EventData } from 'nest-event-store';
import { Counted, openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { ambient, counted, repositoryOf, useCounters } from './use-counters.ts';

const given = useCounters();
const { newCounter } = given;

describe.each([1, 2])('a pool of %i', (poolSize) => {
  it('is enough to repeat an append inside the transaction that made it', async () => {
    const small = await given.database.dataSource({ poolSize });
    const smallStore = await openStore(small);
    const twice = () =>
      small.transaction(async (manager) => {
        const aggregate = newCounter();
        const events = [new EventData(new Counted(1), { id: randomUUID() })];
        const first = await smallStore.append(aggregate, events, { manager });
        const again = await smallStore.append(aggregate, events, { manager });
        expect(again).toEqual({ ...first, duplicate: true });
      });
    const done = await Promise.all(Array.from({ length: poolSize }, twice));
    tally('F12', { acknowledged: done.length });
  });

  it('finishes fifty commands in transactions at once, beside appends of their own', async () => {
    const small = await given.database.dataSource({ poolSize });
    const smallStore = await openStore(small, { transactionManager: () => ambient.getStore() });
    const smallCounters = repositoryOf(smallStore);
    const targets = Array.from({ length: 5 }, newCounter);
    await Promise.all(targets.map((target) => smallStore.append(target, counted(1))));

    const commands = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const { id } = targets[n % targets.length]!;
        const command = (manager: EntityManager) =>
          smallCounters.execute(id, (counter) => counter.count(1), { manager, retries: 50 });
        if (n % 3 === 0) return small.transaction(command);
        if (n % 3 === 1) {
          return small.transaction((manager) => ambient.run(manager, () => command(manager)));
        }
        return smallStore.append({ type: 'counter', id }, counted(1));
      }),
    );
    const totals = await Promise.all(
      targets.map(async ({ id }) => (await smallCounters.load(id)).total),
    );
    const missing = commands.length + targets.length - totals.reduce((sum, each) => sum + each);
    const [lost, doubled] = [Math.max(0, missing), Math.max(0, -missing)];
    tally('F12', { acknowledged: commands.length, lost, doubled });
    expect(totals).toEqual([11, 11, 11, 11, 11]);
  });
});
