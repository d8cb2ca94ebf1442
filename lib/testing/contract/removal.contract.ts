import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventData } from '../../events/event-data.ts';
import { DuplicateEventError } from '../../store/appending/append.errors.ts';
import { RemovalRefusedError } from '../../store/store.errors.ts';
import { assertNothingWritten, rejection } from './support/assertions.ts';
import { deposits, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

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
    'does not store removed events again when their append is repeated late',
    async ({ store }) => {
      const account = newAccount();
      await store.append(account, deposits(1));
      const events = deposits(3).map((event) => new EventData(event, { id: randomUUID() }));
      const { version, position } = await store.append(account, events);
      await store.removeEvents(account);
      await store.append(account, deposits(1));

      await assertNothingWritten(store, async () => {
        const repeated = await store.append(account, events);
        assert.deepEqual(repeated, { version, position, records: [], duplicate: true });
        const more = store.append(account, [...events, ...deposits(1)]);
        const { reason, storedTo, isRemoved } = await rejection(more, DuplicateEventError);
        assert.deepEqual(
          { reason, storedTo, isRemoved },
          { reason: 'partly-stored', storedTo: 4, isRemoved: true },
        );
        const elsewhere = store.append(newAccount(), events);
        assert.equal((await rejection(elsewhere, DuplicateEventError)).isRemoved, true);
      });
      assert.equal(await store.currentVersion(account), 5);
    },
    allowRemoval,
  );

  test(
    'does not let a late snapshot bring a removed state back',
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
