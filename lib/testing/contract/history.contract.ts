import assert from 'node:assert/strict';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function historyContract(test: ContractTest): void {
  test('is empty for an unknown aggregate', async ({ store }) => {
    const nothing = { version: 0, position: 0, removedVersion: 0, snapshot: null, records: [] };
    assert.deepEqual(await store.fetchHistory(newAccount()), nothing);
    assert.deepEqual(await store.fetchHistory(newAccount(), { after: 3 }), nothing);
  });

  test('has every event, however many there are', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(1500));
    await store.append(newAccount(), deposits(1));
    const history = await store.fetchHistory(account);
    assert.deepEqual(history, {
      version: 1500,
      position: records.at(-1)!.position,
      removedVersion: 0,
      snapshot: null,
      records,
    });
  });

  test('starts with the snapshot and the events after it', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    const snapshot = { version: 2, state: { balance: 3 } };
    await store.snapshot(account, snapshot.state, 2);
    const history = await store.fetchHistory(account);
    assert.deepEqual(history, {
      version: 3,
      position: records.at(-1)!.position,
      removedVersion: 0,
      snapshot,
      records: records.slice(2),
    });
  });

  test('is the snapshot alone if no event came after it', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    await store.snapshot(account, { balance: 6 }, 3);
    assert.deepEqual(await store.fetchHistory(account), {
      version: 3,
      position: records.at(-1)!.position,
      removedVersion: 0,
      snapshot: { version: 3, state: { balance: 6 } },
      records: [],
    });
  });

  test('has all events if the snapshot is of another revision', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    await store.snapshot(account, { balance: 3 }, 2, { revision: 1 });
    const history = await store.fetchHistory(account, { revision: 2 });
    const { position } = records.at(-1)!;
    assert.deepEqual(history, { version: 3, position, removedVersion: 0, snapshot: null, records });
  });

  test('has all events if the snapshot cannot be read', async ({ store, spoilSnapshot }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    await store.snapshot(account, { balance: 6 }, 3);
    await spoilSnapshot(account);
    const history = await store.fetchHistory(account);
    const { position } = records.at(-1)!;
    assert.deepEqual(history, { version: 3, position, removedVersion: 0, snapshot: null, records });
  });

  test('after a known version has later events only, and no snapshot', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    await store.snapshot(account, { balance: 6 }, 3);

    for (const after of [0, 1, 3]) {
      const history = await store.fetchHistory(account, { after });
      assert.deepEqual(history, {
        version: 3,
        position: records.at(-1)!.position,
        removedVersion: 0,
        snapshot: null,
        records: records.slice(after),
      });
    }
  });

  test(
    'has only later events after a removal',
    async ({ store }) => {
      const account = newAccount();
      await store.append(account, deposits(3));
      await store.removeEvents(account);
      const nothing = { version: 3, position: 0, removedVersion: 3, snapshot: null, records: [] };
      assert.deepEqual(await store.fetchHistory(account), nothing);

      const { records } = await store.append(account, deposits(2));
      const history = await store.fetchHistory(account);
      assert.deepEqual(history, {
        version: 5,
        position: records.at(-1)!.position,
        removedVersion: 3,
        snapshot: null,
        records,
      });
    },
    { allowRemoval: true },
  );
}
