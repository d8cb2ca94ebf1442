import assert from 'node:assert/strict';
import { RemovalRefusedError } from '../../store/store.errors.ts';
import { assertNothingWritten, rejection } from './assertions.ts';
import { deposits, newAccount } from './contract-events.ts';
import type { ContractTest } from './contract-test.ts';

const allowRemoval = { allowRemoval: true };

export function removalContract(test: ContractTest): void {
  test('is refused unless it was allowed', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(2));
    await assertNothingWritten(store, async () => {
      const error = await rejection(store.removeEvents(account), RemovalRefusedError);
      assert.deepEqual(error.aggregate, account);
    });
  });

  test(
    'removes the events and the snapshot of one aggregate',
    async ({ store }) => {
      const [account, neighbour] = [newAccount(), newAccount()];
      await store.append(account, deposits(3));
      await store.snapshot(account, { balance: 6 }, 3);
      const { records } = await store.append(neighbour, deposits(2));

      assert.equal(await store.removeEvents(account), 3);
      assert.deepEqual((await store.fetch()).records, records);
      assert.equal(await store.getSnapshot(account), null);
      assert.deepEqual(await store.fetchByAggregate(account), { version: 3, records: [] });
    },
    allowRemoval,
  );

  test(
    'uses no version and no position again',
    async ({ store }) => {
      const account = newAccount();
      const removed = await store.append(account, deposits(3));
      await store.removeEvents(account);
      assert.equal(await store.currentVersion(account), 3);

      const later = await store.append(account, deposits(1), { expectedVersion: 3 });
      assert.equal(later.version, 4);
      assert.ok(later.position > removed.position);
    },
    allowRemoval,
  );

  test(
    'does not bring a removed state back by a late snapshot',
    async ({ store }) => {
      const account = newAccount();
      await store.append(account, deposits(3));
      await store.removeEvents(account);
      await store.snapshot(account, { balance: 6 }, 3);
      assert.equal(await store.getSnapshot(account), null);
    },
    allowRemoval,
  );

  test(
    'of an unknown or an emptied aggregate removes nothing',
    async ({ store }) => {
      const account = newAccount();
      assert.equal(await store.removeEvents(account), 0);
      assert.equal(await store.currentVersion(account), 0);
      await store.append(account, deposits(3));
      await store.removeEvents(account);
      assert.equal(await store.removeEvents(account), 0);
    },
    allowRemoval,
  );
}
