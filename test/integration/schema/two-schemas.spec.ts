import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { openStore } from '../../support/store.ts';
import { tally } from '../../support/tally.ts';
import { counted, counter } from './counters.ts';
import { useStore } from '../../support/use-store.ts';

const given = useStore({ allowRemoval: true });

describe('two schemas in one database', () => {
  it('hold aggregates, versions and positions of their own', async () => {
    const [loans, cards] = await Promise.all([
      openStore(given.dataSource, { schema: 'loans' }),
      openStore(given.dataSource, { schema: 'cards' }),
    ]);
    await loans.append(counter('c-1'), counted(1, 2));
    const { version, position } = await cards.append(counter('c-1'), counted(3));
    expect([version, position]).toEqual([1, 1]);
    expect((await loans.fetch()).records.map(({ event }) => event)).toEqual(counted(1, 2));
    expect((await cards.fetch()).records.map(({ event }) => event)).toEqual(counted(3));
  });

  it('do not hold back the readers of one another', async () => {
    const [loans, cards] = await Promise.all([
      openStore(given.dataSource, { schema: 'slow_loans' }),
      openStore(given.dataSource, { schema: 'fast_cards' }),
    ]);
    await given.dataSource.transaction(async (manager: EntityManager) => {
      await loans.append(counter('open'), counted(1), { manager });
      await loans.append(counter('behind'), counted(2));
      await cards.append(counter('free'), counted(3));
      expect((await loans.fetch()).records).toEqual([]);
      expect((await cards.fetch()).records.map(({ event }) => event)).toEqual(counted(3));

      await cards.append(counter('open'), counted(4), { manager });
      await cards.append(counter('behind'), counted(5));
      expect((await cards.fetch(1)).records).toEqual([]);
    });
    const records = [...(await loans.fetch()).records, ...(await cards.fetch()).records];
    expect(records.map(({ event }) => event)).toEqual(counted(1, 2, 3, 4, 5));
    tally('F8', { acknowledged: records.length });
  });
});
