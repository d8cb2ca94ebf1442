import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { PostgresSignals } from '../../../../lib/postgres/subscriptions/postgres.signals.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

it('A process answers a flood of notifications with few checks, and one after the last', async () => {
  const heard = { append: 0, control: 0 };
  const connection = { open: async () => undefined, close: async () => undefined };
  const signals = new PostgresSignals({} as never, connection as never, {
    schema: 'event_store',
    listen: true,
  });
  await signals.start((signal) => (heard[signal] += 1));
  const client = Object.assign(new EventEmitter(), { query: async () => undefined });
  await signals.subscribe(client as never);
  expect(heard).toEqual({ append: 1, control: 1 });

  const notify = (payload: string) => client.emit('notification', { payload });
  jest.advanceTimersByTime(1_000);
  for (let at = 0; at < 15_000; at++) {
    for (const payload of ['control', 'append', 'constructor', '', 'x'.repeat(8_000)]) {
      notify(payload);
    }
    if (at % 15 === 14) jest.advanceTimersByTime(4);
  }
  // Within 4 s: one in 50 ms, one in 20 ms, and the first one of each.
  expect(heard.control).toBeLessThanOrEqual(2 + 4_000 / 50);
  expect(heard.append).toBeLessThanOrEqual(2 + 4_000 / 20);

  jest.advanceTimersByTime(1_000);
  const before = { ...heard };
  notify('control');
  expect(heard.control).toBe(before.control + 1);
  notify('control');
  notify('control');
  expect(heard.control).toBe(before.control + 1);
  jest.advanceTimersByTime(50);
  expect(heard.control).toBe(before.control + 2);
  jest.advanceTimersByTime(1_000);
  expect(heard.control).toBe(before.control + 2);

  notify('control');
  notify('control');
  await signals.stop();
  jest.advanceTimersByTime(1_000);
  expect(heard.control).toBe(before.control + 3);
});
