import { describe, expect, it } from '@jest/globals';
import type {
  AppendCall,
  AppendOutcome,
} from '../../../../lib/postgres/store/appending/append-call.ts';
import {
  AppendQueue,
  type SettledAppend,
} from '../../../../lib/postgres/store/appending/append-queue.ts';
import type { PreparedAppend } from '../../../../lib/store/appending/prepared-append.ts';

interface AppendSize {
  readonly events?: number;
  readonly payload?: string;
  readonly binary?: { readonly length: number };
}

/** A queue over a database that stores everything; each call to it is noted first. */
function queueOver(note: (appends: readonly PreparedAppend[]) => Promise<void>): AppendQueue {
  const stored = { outcome: 'ok', version: 1, positions: [1] } as unknown as AppendOutcome;
  const call = {
    send: async (appends: readonly PreparedAppend[]) => {
      await note(appends);
      return appends.map(() => stored);
    },
  };
  const options = { maxQueuedAppends: 1_000, lockTimeoutMs: 1_000, maxLanes: 1 };
  return new AppendQueue(call as unknown as AppendCall, options);
}

/** How many events each call has carried, append by append. */
let calls: number[][];

/** Sends appends of these sizes at the same time, each to an aggregate of its own. */
function sendAll(sizes: readonly AppendSize[]): Promise<PromiseSettledResult<SettledAppend>[]> {
  calls = [];
  const queue = queueOver(async (appends) => {
    calls.push(appends.map(({ events }) => events.length));
  });
  const sending = sizes.map(({ events = 1, payload = '{}', binary = null }, n) => {
    const aggregate = { type: 'counter', id: String(n) };
    const event = { payload, binary, metadata: '{}' };
    const append = { aggregate, events: Array.from({ length: events }, () => event) };
    const place = queue.reserve([aggregate]);
    return queue.sendInBatch(place, append as unknown as PreparedAppend);
  });
  return Promise.allSettled(sending);
}

describe('AppendQueue', () => {
  it('divides the calls that wait among its two batches', async () => {
    await sendAll(Array.from({ length: 10 }, () => ({})));
    expect(calls.map(({ length }) => length)).toEqual([5, 5]);
  });

  it('sends at most 2,000 events of several appends in one call', async () => {
    await sendAll([{ events: 1_500 }, { events: 500 }, { events: 1 }, { events: 3_000 }]);
    expect(calls).toEqual([[1_500, 500], [1], [3_000]]);
  });

  it.each<[string, AppendSize]>([
    ['payloads', { payload: ' '.repeat(70 * 1_048_576) }],
    ['binaries', { binary: { length: 70 * 1_048_576 } }],
  ])('refuses more than 128 MiB of %s', async (_, large) => {
    const [first, second, third] = await sendAll([large, large, {}]);
    expect([first!.status, third!.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(second).toMatchObject({ reason: { code: 'STORE_OVERLOADED' } });
  });

  it('sends an append that is larger than this bound if no other append waits', async () => {
    const [alone] = await sendAll([{ binary: { length: 200 * 1_048_576 } }]);
    expect(alone!.status).toBe('fulfilled');
  });

  it('sends a repetition after the append that it repeats, and before what follows it', async () => {
    const sent: string[][] = [];
    const idsOf = (append: PreparedAppend): string[] => append.events.map(({ id }) => id);
    const queue = queueOver(async (appends) => void sent.push(appends.flatMap(idsOf)));
    const aggregate = { type: 'counter', id: '1' };
    const sending = ['first', 'first', 'second'].map((id) => {
      const events = [{ id, payload: '{}', binary: null, metadata: '{}' }];
      const append = { aggregate, events, hasCallerIds: true };
      return queue.sendInBatch(queue.reserve([aggregate]), append as unknown as PreparedAppend);
    });
    await Promise.all(sending);
    expect(sent).toEqual([['first'], ['first'], ['second']]);
  });
});
