import { describe, expect, it, jest } from '@jest/globals';
import { isCoveredBy } from '../../../lib/subscriptions/partition-positions.ts';
import { partitionOf } from '../../../lib/subscriptions/partitions.ts';
import { exponentialBackoff, noRetry } from '../../../lib/subscriptions/retry-policy.ts';

describe('the partition of an aggregate', () => {
  it('is the same in every release: stored checkpoints rely on it', () => {
    const of = (id: string, partitions: number) => partitionOf({ type: 'account', id }, partitions);
    expect(['ada', 'ben', 'cleo', 'ü-1'].map((id) => of(id, 16))).toEqual([6, 14, 10, 9]);
    expect(of('ada', 1)).toBe(0);
  });

  it('is spread evenly', () => {
    const counts = [0, 0, 0, 0];
    for (let n = 0; n < 4_000; n++) counts[partitionOf({ type: 'a', id: `${n}` }, 4)]! += 1;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it('determines what former partitions have finished', () => {
    const aggregate = { type: 'account', id: 'ada' };
    const positions = [10, 10, 10];
    positions[partitionOf(aggregate, 3)] = 20;
    expect(isCoveredBy({ aggregate, position: 20 }, [{ positions }])).toBe(true);
    expect(isCoveredBy({ aggregate, position: 21 }, [{ positions }])).toBe(false);
    expect(isCoveredBy({ aggregate, position: 1 }, [])).toBe(false);
  });
});

describe('a retry policy', () => {
  it('doubles the delay up to a limit, with jitter below it, and gives up in the end', () => {
    const policy = exponentialBackoff({ retries: 4, firstDelayMs: 100, maxDelayMs: 500 });
    const delays = () => [1, 2, 3, 4, 5].map((n) => policy.delayMs(n));
    const random = jest.spyOn(Math, 'random').mockReturnValue(1);
    expect(delays()).toEqual([100, 200, 400, 500, undefined]);
    random.mockReturnValue(0);
    expect(delays()).toEqual([50, 100, 200, 250, undefined]);
    random.mockRestore();
    expect(noRetry.delayMs(1)).toBeUndefined();
  });
});
