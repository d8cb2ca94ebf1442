import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventData } from '../../events/event-data.ts';
import { InvalidEventError } from '../../events/events.errors.ts';
import {
  AppendTooLargeError,
  DuplicateEventError,
  WrongExpectedVersionError,
} from '../../store/appending/append.errors.ts';
import { InvalidAggregateRefError } from '../../store/store.errors.ts';
import { assertNothingWritten, eventsOf, positionsOf, rejection } from './support/assertions.ts';
import { deposits, MoneyDeposited, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function appendAllContract(test: ContractTest): void {
  test('writes to several aggregates and answers in the order of the list', async ({ store }) => {
    const [one, two] = [newAccount(), newAccount('savings')];
    const results = await store.appendAll([
      { aggregate: one, events: deposits(2), expectedVersion: 'no_stream' },
      { aggregate: two, events: deposits(1), metadata: { actor: 'Ada' } },
    ]);

    assert.deepEqual(
      results.map(({ version, duplicate }) => ({ version, duplicate })),
      [
        { version: 2, duplicate: false },
        { version: 1, duplicate: false },
      ],
    );
    const records = results.flatMap((result) => result.records);
    assert.deepEqual((await store.fetch()).records, records);
    assert.deepEqual(
      positionsOf(records),
      positionsOf(records).sort((a, b) => a - b),
    );
    assert.deepEqual(
      records.map((record) => record.metadata),
      [{}, {}, { actor: 'Ada' }],
    );
  });

  test('writes nothing for an empty list', async ({ store }) => {
    assert.deepEqual(await store.appendAll([]), []);
  });

  test('writes nothing if one aggregate is at another version', async ({ store }) => {
    const [one, two, three] = [newAccount(), newAccount(), newAccount()];
    await store.append(two, deposits(1));

    await assertNothingWritten(store, async () => {
      const appends = store.appendAll([
        { aggregate: one, events: deposits(1) },
        { aggregate: two, events: deposits(1), expectedVersion: 0 },
        { aggregate: three, events: deposits(1) },
      ]);
      const error = await rejection(appends, WrongExpectedVersionError);
      assert.deepEqual([error.aggregate, error.actualVersion], [two, 1]);
    });
    assert.equal(await store.currentVersion(one), 0);
    assert.equal((await store.append(three, deposits(1), { expectedVersion: 0 })).version, 1);
  });

  test('writes nothing if an empty append of the list is refused', async ({ store }) => {
    await assertNothingWritten(store, async () => {
      const appends = store.appendAll([
        { aggregate: newAccount(), events: deposits(1) },
        { aggregate: newAccount(), events: [], expectedVersion: 'exists' },
      ]);
      await rejection(appends, WrongExpectedVersionError);
    });
  });

  test(
    'refuses more events than `maxAppendEvents`, counted over the whole list',
    async ({ store }) => {
      const appends = (...counts: number[]) =>
        counts.map((count) => ({ aggregate: newAccount(), events: deposits(count) }));
      await assertNothingWritten(store, async () => {
        const error = await rejection(store.appendAll(appends(2, 2)), AppendTooLargeError);
        assert.deepEqual([error.eventCount, error.maxAppendEvents], [4, 3]);
      });
      assert.equal((await store.appendAll(appends(2, 1))).length, 2);
    },
    { maxAppendEvents: 3 },
  );

  test('writes nothing if one event or reference cannot be stored', async ({ store }) => {
    const sound = { aggregate: newAccount(), events: deposits(1) };
    await assertNothingWritten(store, async () => {
      const unstorable = { aggregate: newAccount(), events: [new MoneyDeposited(Infinity)] };
      await rejection(store.appendAll([sound, unstorable]), InvalidEventError);
      const nameless = { aggregate: { type: 'account', id: '' }, events: deposits(1) };
      await rejection(store.appendAll([sound, nameless]), InvalidAggregateRefError);
    });
  });

  test('applies several appends to one aggregate in order', async ({ store }) => {
    const account = newAccount();
    const [first, second, third] = deposits(3);
    const results = await store.appendAll([
      { aggregate: account, events: [first!], expectedVersion: 0 },
      { aggregate: newAccount(), events: deposits(2) },
      { aggregate: account, events: [second!, third!], expectedVersion: 1 },
      { aggregate: account, events: [], expectedVersion: 3 },
    ]);
    assert.deepEqual(
      results.map((result) => result.version),
      [1, 2, 3, 3],
    );
    assert.deepEqual(eventsOf((await store.fetchByAggregate(account)).records), deposits(3));
  });

  test('checks each expectation against the appends before it', async ({ store }) => {
    const account = newAccount();
    await assertNothingWritten(store, async () => {
      const appends = store.appendAll([
        { aggregate: account, events: deposits(1), expectedVersion: 0 },
        { aggregate: account, events: deposits(1), expectedVersion: 0 },
      ]);
      const error = await rejection(appends, WrongExpectedVersionError);
      assert.equal(error.actualVersion, 1);
    });
    assert.deepEqual(await store.fetchByAggregate(account), { version: 0, records: [] });
  });

  test('takes a refused list with the same ids once the reason for the refusal is gone', async ({
    store,
  }) => {
    const [one, two] = [newAccount(), newAccount()];
    const appends = [
      { aggregate: one, events: [new EventData(new MoneyDeposited(5), { id: randomUUID() })] },
      { aggregate: two, events: deposits(1), expectedVersion: 1 },
    ];
    await rejection(store.appendAll(appends), WrongExpectedVersionError);
    await store.append(two, deposits(1));

    assert.deepEqual(
      (await store.appendAll(appends)).map(({ version, duplicate }) => ({ version, duplicate })),
      [
        { version: 1, duplicate: false },
        { version: 2, duplicate: false },
      ],
    );
  });

  test('refuses an event id that comes twice in the list', async ({ store }) => {
    const event = new EventData(new MoneyDeposited(5), { id: randomUUID() });
    await assertNothingWritten(store, async () => {
      const appends = store.appendAll([
        { aggregate: newAccount(), events: [event] },
        { aggregate: newAccount(), events: [event] },
      ]);
      await rejection(appends, DuplicateEventError);
    });
  });

  test('answers a repetition of the whole list with the first results', async ({ store }) => {
    const withIds = deposits(4).map((event) => new EventData(event, { id: randomUUID() }));
    const [one, two] = [newAccount(), newAccount()];
    const appends = [
      { aggregate: one, events: withIds.slice(0, 1), expectedVersion: 0 },
      { aggregate: two, events: withIds.slice(1, 3), expectedVersion: 'no_stream' as const },
      { aggregate: one, events: withIds.slice(3), expectedVersion: 1 },
    ];
    const first = await store.appendAll(appends);

    await assertNothingWritten(store, async () => {
      assert.deepEqual(
        await store.appendAll(appends),
        first.map((result) => ({ ...result, duplicate: true })),
      );
    });
  });

  test('refuses a repeated append together with a new one', async ({ store }) => {
    const event = new EventData(new MoneyDeposited(5), { id: randomUUID() });
    const append = { aggregate: newAccount(), events: [event] };
    await store.appendAll([append]);

    await assertNothingWritten(store, async () => {
      const appends = store.appendAll([append, { aggregate: newAccount(), events: deposits(1) }]);
      const error = await rejection(appends, DuplicateEventError);
      assert.deepEqual(error.aggregate, append.aggregate);
    });
  });
}
