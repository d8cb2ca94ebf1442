import { expect, it } from '@jest/globals';
import {
  ParkedRetry,
  type ParkedRetryParts,
} from '../../../../lib/subscriptions/running/parked-retry.ts';

it('Parked events that are due are read once for all of them', async () => {
  const due = [1, 2, 3].map((position) => ({ position, aggregate: { type: 'counter', id: '1' } }));
  let reads = 0;
  const parts = {
    cursor: { held: { partition: 0, partitions: 1 } },
    parkedEvents: {
      toRetry: async () => (reads++ === 0 ? due : []),
      // Each was discarded meanwhile.
      isToRetry: async () => false,
    },
  };
  const retry = new ParkedRetry(parts as unknown as ParkedRetryParts, true);
  for (const _ of due) expect(await retry.next()).toBe(true);
  expect(reads).toBe(1);
  expect(await retry.next()).toBe(false);
});
