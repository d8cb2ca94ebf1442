import assert from 'node:assert/strict';
import { collect } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function aggregateReadContract(test: ContractTest): void {
  test('an unknown aggregate is at version 0', async ({ store }) => {
    await store.append(newAccount(), deposits(1));
    const unknown = newAccount();

    assert.deepEqual(await store.fetchByAggregate(unknown), { version: 0, records: [] });
    assert.deepEqual(await store.fetchByAggregate(unknown, 7), { version: 0, records: [] });
    assert.deepEqual(await collect(store.streamByAggregate(unknown)), []);
    assert.equal(await store.currentVersion(unknown), 0);
  });

  test('reads strictly after a version', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(4));
    await store.append(newAccount(), deposits(2));

    for (const version of [0, 1, 2, 3]) {
      const page = await store.fetchByAggregate(account, version);
      assert.deepEqual(page, { version: 4, records: records.slice(version) });
    }
    assert.equal(await store.currentVersion(account), 4);
  });

  test('answers a read past the end with the current version', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(4));
    for (const after of [4, 5, Number.MAX_SAFE_INTEGER]) {
      assert.deepEqual(await store.fetchByAggregate(account, after), { version: 4, records: [] });
    }
  });

  test('continues where a full page has ended', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(3));
    const first = await store.fetchByAggregate(account, 0, { limit: 2 });
    assert.deepEqual(first, { version: 2, records: records.slice(0, 2) });
    const second = await store.fetchByAggregate(account, first.version, { limit: 2 });
    assert.deepEqual(second, { version: 3, records: records.slice(2) });
  });

  test('reads a thousand events by default', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(1001));
    assert.equal((await store.fetchByAggregate(account)).version, 1000);
    assert.equal((await store.fetchByAggregate(account, 0, { limit: 1001 })).version, 1001);
    assert.equal((await collect(store.streamByAggregate(account))).length, 1001);
  });

  test('reads backward, newest first, from the end or from a version', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, deposits(5));
    const options = { direction: 'backward', limit: 2 } as const;

    const last = await store.fetchByAggregate(account, 0, options);
    assert.deepEqual(last, { version: 4, records: records.slice(3).toReversed() });
    const next = await store.fetchByAggregate(account, last.version, options);
    assert.deepEqual(next, { version: 2, records: records.slice(1, 3).toReversed() });
    const end = await store.fetchByAggregate(account, 1, options);
    assert.deepEqual(end, { version: 5, records: [] });
  });

  for (const limit of [1, 2, 4, 5, 6]) {
    test(`streams page by page with a limit of ${limit}`, async ({ store }) => {
      const account = newAccount();
      const { records } = await store.append(account, deposits(5));
      await store.append(newAccount(), deposits(2));

      assert.deepEqual(await collect(store.streamByAggregate(account, 0, { limit })), records);
      const later = await collect(store.streamByAggregate(account, 3, { limit }));
      assert.deepEqual(later, records.slice(3));
      const direction = 'backward';
      const backward = await collect(store.streamByAggregate(account, 0, { limit, direction }));
      assert.deepEqual(backward, records.toReversed());
    });
  }

  test('a reader that stops early leaves no open read', async ({ store }) => {
    const account = newAccount();
    await store.append(account, deposits(5));
    for (let round = 0; round < 50; round++) {
      for await (const record of store.streamByAggregate(account, 0, { limit: 2 })) {
        if (record.version === 3) break;
      }
    }
    assert.equal((await store.append(account, deposits(1))).version, 6);
  });
}
