import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventData } from '../../events/event-data.ts';
import {
  DuplicateEventError,
  WrongExpectedVersionError,
} from '../../store/appending/append.errors.ts';
import { assertNothingWritten, rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function idempotencyKeyContract(test: ContractTest): void {
  test('answers with the first result, whatever is appended with the key later', async ({
    store,
  }) => {
    const account = newAccount();
    const idempotencyKey = randomUUID();
    await store.append(account, deposits(2));
    const first = await store.append(account, deposits(3), { idempotencyKey, expectedVersion: 2 });
    assert.equal(first.duplicate, false);
    await store.append(account, deposits(1));

    await assertNothingWritten(store, async () => {
      for (const count of [3, 1, 20, 0]) {
        for (const expectedVersion of ['any', 'no_stream', 2, 99] as const) {
          const again = store.append(account, deposits(count), { idempotencyKey, expectedVersion });
          assert.deepEqual(await again, { ...first, duplicate: true });
        }
      }
    });
  });

  test('answers with the first result of many events', async ({ store }) => {
    const account = newAccount();
    const first = await store.append(account, deposits(75), { idempotencyKey: 'k' });
    const again = await store.append(account, deposits(1), { idempotencyKey: 'k' });
    assert.deepEqual(again, { ...first, duplicate: true });
  });

  test('of two appends side by side, one is written', async ({ store }) => {
    const account = newAccount();
    const results = await Promise.all(
      [2, 1, 3].map((count) => store.append(account, deposits(count), { idempotencyKey: 'k' })),
    );
    assert.deepEqual(
      results.map(({ version, duplicate, records }) => [version, duplicate, records.length]),
      [
        [2, false, 2],
        [2, true, 2],
        [2, true, 2],
      ],
    );
  });

  test('belongs to one aggregate', async ({ store }) => {
    for (const account of [newAccount(), newAccount(), newAccount('savings')]) {
      const { duplicate } = await store.append(account, deposits(1), { idempotencyKey: 'k' });
      assert.equal(duplicate, false);
    }
  });

  test('is not used up by an append that is refused', async ({ store }) => {
    const account = newAccount();
    const options = { idempotencyKey: 'k', expectedVersion: 1 };
    await rejection(store.append(account, deposits(1), options), WrongExpectedVersionError);
    await rejection(store.append(account, [], options), WrongExpectedVersionError);
    await store.append(account, deposits(1));
    const { version, duplicate } = await store.append(account, deposits(1), options);
    assert.deepEqual({ version, duplicate }, { version: 2, duplicate: false });
  });

  test(
    'is known after the events were removed',
    async ({ store }) => {
      const account = newAccount();
      const options = { idempotencyKey: 'k' };
      const { version, position } = await store.append(account, deposits(2), options);
      await store.removeEvents(account);
      await store.append(account, deposits(1));
      for (const count of [2, 1, 0]) {
        assert.deepEqual(await store.append(account, deposits(count), options), {
          version,
          position,
          records: [],
          duplicate: true,
        });
      }
      assert.equal(await store.currentVersion(account), 3);
    },
    { allowRemoval: true },
  );

  test('counts for each append of a list, and appends not stored yet are written', async ({
    store,
  }) => {
    const [one, two, three] = [newAccount(), newAccount(), newAccount()];
    const first = await store.append(one, deposits(2), { idempotencyKey: 'k' });
    const appends = [one, two, three].map((aggregate) => ({
      aggregate,
      events: deposits(1),
      idempotencyKey: 'k',
      expectedVersion: 0,
    }));
    const results = await store.appendAll(appends);
    assert.deepEqual(results[0], { ...first, duplicate: true });
    assert.deepEqual(
      results.map(({ version, duplicate }) => [version, duplicate]),
      [
        [2, true],
        [1, false],
        [1, false],
      ],
    );
    await assertNothingWritten(store, async () => {
      const again = await store.appendAll(appends);
      assert.deepEqual(
        again,
        results.map((result) => ({ ...result, duplicate: true })),
      );
    });
  });

  test('refuses a stored key in a list with another append that has no key', async ({ store }) => {
    const [one, two] = [newAccount(), newAccount()];
    const appends = [
      { aggregate: one, events: deposits(1), idempotencyKey: 'k' },
      { aggregate: two, events: deposits(1) },
    ];
    await store.appendAll(appends);
    await assertNothingWritten(store, async () => {
      const error = await rejection(store.appendAll(appends), DuplicateEventError);
      assert.deepEqual([error.reason, error.aggregate], ['beside-new-appends', one]);
    });
  });

  test('refuses a key twice for one aggregate in a list', async ({ store }) => {
    const append = { aggregate: newAccount(), events: deposits(1), idempotencyKey: 'k' };
    await assertNothingWritten(store, async () => {
      const error = await rejection(store.appendAll([append, append]), DuplicateEventError);
      assert.equal(error.reason, 'repeated-id');
    });
  });

  test('refuses events with ids of their own, and keys that are no text', async ({ store }) => {
    const withId = new EventData(deposits(1)[0]!, { id: randomUUID() });
    await assertNothingWritten(store, async () => {
      await rejection(store.append(newAccount(), [withId], { idempotencyKey: 'k' }), TypeError);
      for (const key of ['', '\ud800', 'a\0', 7, null, {}]) {
        const options = { idempotencyKey: key as string };
        await rejection(store.append(newAccount(), deposits(1), options), TypeError);
      }
    });
    const withMetadata = new EventData(deposits(1)[0]!, { metadata: { actor: 'Ada' } });
    const options = { idempotencyKey: 'k' };
    const { records } = await store.append(newAccount(), [withMetadata], options);
    assert.deepEqual(records[0]!.metadata, { actor: 'Ada' });
    assert.match(records[0]!.id, /^[0-9a-f]{8}-[0-9a-f]{4}-5/);
  });

  test('counts as absent if it is undefined', async ({ store }) => {
    const account = newAccount();
    for (const version of [1, 2]) {
      const result = await store.append(account, deposits(1), { idempotencyKey: undefined });
      assert.equal(result.version, version);
    }
  });
}
