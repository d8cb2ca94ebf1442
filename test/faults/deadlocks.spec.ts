import { beforeAll, describe, expect, it } from '@jest/globals';
import { Counted } from '../support/store.ts';
import { tally } from '../support/tally.ts';
import { useStore } from '../support/use-store.ts';

const [left, right] = ['left', 'right'].map((id) => ({ type: 'counter', id })) as [
  { type: string; id: string },
  { type: string; id: string },
];

const given = useStore();

describe('two transactions of callers that append to two aggregates in opposite orders', () => {
  beforeAll(async () => {
    await given.store.appendAll(
      [left, right].map((aggregate) => ({ aggregate, events: [new Counted(1)] })),
    );
  });

  it('end with one stored, and the other one refused, run again and stored', async () => {
    let arrived = 0;
    let open!: () => void;
    const bothAreHalfWay = new Promise<void>((resolve) => (open = resolve));
    const transaction = (first: typeof left, second: typeof left) =>
      given.dataSource.transaction(async (manager) => {
        await given.store.append(first, [new Counted(1)], { manager });
        if (++arrived >= 2) open();
        await bothAreHalfWay;
        return given.store.append(second, [new Counted(1)], { manager });
      });
    const outcomes = await Promise.allSettled([transaction(left, right), transaction(right, left)]);
    const refusals = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refusals).toMatchObject([
      { code: 'TRANSACTION_CONFLICT', sqlState: '40P01', retryable: true, outcome: 'not-applied' },
    ]);
    expect(await given.store.currentVersion(left)).toBe(2);
    expect(await given.store.currentVersion(right)).toBe(2);
    expect(await transaction(left, right)).toMatchObject({ version: 3 });
    tally('F10', { acknowledged: outcomes.length - refusals.length + 1 });
  });
});
