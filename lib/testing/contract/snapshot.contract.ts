import assert from 'node:assert/strict';
import { InvalidEventError } from '../../events/events.errors.ts';
import { SnapshotAheadError } from '../../store/store.errors.ts';
import { rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function snapshotContract(test: ContractTest): void {
  test('is null until one is taken', async ({ store }) => {
    const account = newAccount();
    assert.equal(await store.getSnapshot(account), null);
    await store.append(account, deposits(1));
    assert.equal(await store.getSnapshot(account), null);
  });

  test('comes back as it was given', async ({ store }) => {
    const account = newAccount();
    const state = { balance: 6, owner: { name: 'Ada' }, tags: ['a', 'b'], closed: null };
    await store.append(account, deposits(3));
    await store.snapshot(account, state, 3);

    assert.deepEqual(await store.getSnapshot(account), { version: 3, state });
    assert.equal(await store.getSnapshot(newAccount()), null);
  });

  test('does not change with the state it was taken of', async ({ store }) => {
    const account = newAccount();
    const state = { balance: 1 };
    await store.append(account, deposits(1));
    await store.snapshot(account, state, 1);
    state.balance = 2;
    const read = await store.getSnapshot(account);
    Object.assign(read!.state, { balance: 3 });

    assert.deepEqual((await store.getSnapshot(account))?.state, { balance: 1 });
  });

  test('is replaced by a newer one, and by a later one of the same version', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(3));
    await store.snapshot(account, { take: 1 }, 2);
    await store.snapshot(account, { take: 2 }, 3);
    assert.deepEqual(await store.getSnapshot(account), { version: 3, state: { take: 2 } });
    await store.snapshot(account, { take: 3 }, 3);
    assert.deepEqual(await store.getSnapshot(account), { version: 3, state: { take: 3 } });
  });

  test('is never replaced by an older one', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(3));
    await store.snapshot(account, { take: 1 }, 3);
    await store.snapshot(account, { take: 2 }, 2);
    assert.deepEqual(await store.getSnapshot(account), { version: 3, state: { take: 1 } });
  });

  test('is refused ahead of the events', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(2));

    const ahead = await rejection(store.snapshot(account, {}, 3), SnapshotAheadError);
    assert.deepEqual([ahead.snapshotVersion, ahead.actualVersion], [3, 2]);
    const unknown = await rejection(store.snapshot(newAccount(), {}, 1), SnapshotAheadError);
    assert.equal(unknown.actualVersion, 0);
    assert.equal(await store.getSnapshot(account), null);
  });

  test('counts as absent at another revision', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(2));
    await store.snapshot(account, { balance: 3 }, 2, { revision: 2 });

    assert.equal(await store.getSnapshot(account), null);
    assert.equal(await store.getSnapshot(account, { revision: 3 }), null);
    const kept = await store.getSnapshot(account, { revision: 2 });
    assert.deepEqual(kept, { version: 2, state: { balance: 3 } });
  });

  test('counts as absent if it cannot be read', async ({ store, spoilSnapshot }) => {
    const account = newAccount();
    await store.append(account, deposits(2));
    await store.snapshot(account, { balance: 3 }, 2);
    await spoilSnapshot(account);
    assert.equal(await store.getSnapshot(account), null);

    await store.snapshot(account, { balance: 4 }, 2);
    assert.deepEqual(await store.getSnapshot(account), { version: 2, state: { balance: 4 } });
  });

  test('is refused if its state cannot be stored exactly', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(1));
    const state = { totals: [1, Number.NaN] };
    const error = await rejection(store.snapshot(account, state, 1), InvalidEventError);
    assert.equal(error.path, '$.totals[1]');
    assert.equal(await store.getSnapshot(account), null);
  });

  for (const place of [0, -1, 1.5, '1', Number.NaN, 2 ** 53]) {
    test(`refuses ${String(place)} (${typeof place}) as a version or a revision`, async ({
      store,
    }) => {
      const account = newAccount();
      await store.append(account, deposits(1));
      const [version, revision] = [place as number, place as number];
      await rejection(store.snapshot(account, {}, version), TypeError);
      await rejection(store.snapshot(account, {}, 1, { revision }), TypeError);
      await rejection(store.getSnapshot(account, { revision }), TypeError);
      await rejection(store.fetchHistory(account, { revision }), TypeError);
    });
  }
}
