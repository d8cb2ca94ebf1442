import { expect, it } from '@jest/globals';
import {
  GenerationChange,
  type GenerationChangeParts,
} from '../../../../lib/subscriptions/running/generation-change.ts';
import { consumer } from '../../../support/consumers.ts';

it('The replacement of a generation is given up if the log does not become readable', async () => {
  let hasCaughtUp: boolean | undefined;
  let calls = 0;
  const parts = {
    consumer: consumer('inline', async () => void calls++),
    cursor: { position: 3, held: {}, saveIdle: async () => undefined },
    filter: {},
    // A transaction that has appended stays open after position 5.
    store: { fetch: async () => ({ position: 5, records: [] }) },
    generations: {
      replace: async (
        ...[, , catchUp]: Parameters<GenerationChangeParts['generations']['replace']>
      ) => (hasCaughtUp = await catchUp({} as never, 10)),
    },
  };
  const change = new GenerationChange(
    parts as unknown as GenerationChangeParts,
    new AbortController().signal,
  );
  expect(await change.replaceFormer()).toBe(false);
  expect(hasCaughtUp).toBe(false);
  // No page had an event for it.
  expect(calls).toBe(0);
});
