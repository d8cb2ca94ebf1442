import { expect, it } from '@jest/globals';
import { HeldRequests } from '../../../lib/http/held-requests.ts';
import { WaitTimeoutError } from '../../../lib/subscriptions/subscriptions.errors.ts';
import { eventually } from '../../support/eventually.ts';

it('A request is refused at once while a thousand others wait', async () => {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let isOpen = false;
  let waiting = 0;
  const consumers = {
    async waitFor(name: string, position: number, { timeoutMs }: { timeoutMs: number }) {
      if (isOpen) return;
      if (timeoutMs === 0) throw new WaitTimeoutError(name, position, undefined, 0, '');
      waiting += 1;
      await opened;
    },
  };
  const store = { horizon: async () => ({ lastPosition: 7 }) };
  const requests = HeldRequests.of(store as never, consumers as never);

  const held = Array.from({ length: 1_000 }, () => requests.waitBefore(['list'], 7, 30));
  await eventually(() => waiting === 1_000);
  await expect(requests.waitBefore(['list'], 7, 30)).rejects.toMatchObject({
    status: 503,
    message: '1000 requests wait already for what was written. Try again later.',
  });
  isOpen = true;
  open();
  await Promise.all(held);
  await requests.waitBefore(['list'], 7, 30);
});

it('A request is refused at a shutdown even while the database does not answer', async () => {
  const store = { horizon: () => new Promise(() => undefined) };
  const late = new WaitTimeoutError('list', 7, undefined, 0, '');
  const consumers = { waitFor: () => Promise.reject(late) };
  const requests = HeldRequests.of(store as never, consumers as never);
  const waiting = requests.waitBefore(['list'], 7, 30);
  const ending = Promise.resolve().then(() => requests.end());
  await expect(waiting).rejects.toThrow('shutting down');
  await ending;
  await expect(requests.waitBefore(['list'], 7, 30)).rejects.toThrow('shutting down');
});
