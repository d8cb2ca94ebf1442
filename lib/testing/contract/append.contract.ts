import assert from 'node:assert/strict';
import { EventData } from '../../events/event-data.ts';
import { recordOf } from '../../events/event-record.ts';
import { InvalidEventError, UnregisteredEventError } from '../../events/events.errors.ts';
import { AppendTooLargeError } from '../../store/appending/append.errors.ts';
import {
  assertNothingWritten,
  eventsOf,
  positionsOf,
  rejection,
  versionsOf,
} from './support/assertions.ts';
import {
  AccountAudited,
  AccountClosed,
  AccountOpened,
  deposits,
  MoneyDeposited,
  NeverRegistered,
  newAccount,
} from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const openedAt = new Date('2026-02-03T04:05:06.789Z');

export function appendContract(test: ContractTest): void {
  test('writes events in the order given, at versions 1, 2, 3', async ({ store }) => {
    const account = newAccount();
    const events = [new AccountOpened('Ada', openedAt), new MoneyDeposited(5), new AccountClosed()];
    const result = await store.append(account, events);

    assert.equal(result.version, 3);
    assert.equal(result.duplicate, false);
    assert.equal(result.position, result.records[2]?.position);
    assert.deepEqual(versionsOf(result.records), [1, 2, 3]);
    const page = await store.fetchByAggregate(account);
    assert.deepEqual(page, { version: 3, records: result.records });
  });

  test('gives every record an event of its own, even if one object is appended again', async ({
    store,
  }) => {
    const [account, other] = [newAccount(), newAccount()];
    const constant = Object.freeze(new MoneyDeposited(5));
    const { records } = await store.append(account, [constant, constant]);
    const later = await store.append(other, [constant]);
    const all = [...records, ...later.records];
    assert.equal(records[0]?.event, constant);
    assert.deepEqual(
      all.map(({ event }) => recordOf(event)),
      all,
    );
    assert.deepEqual(eventsOf(all), [constant, constant, constant]);
    assert.deepEqual((await store.fetchByAggregate(other)).records, later.records);
  });

  test('continues the count of the aggregate', async ({ store }) => {
    const account = newAccount();
    const first = await store.append(account, deposits(2));
    const second = await store.append(account, deposits(3));

    assert.equal(second.version, 5);
    assert.deepEqual(versionsOf(second.records), [3, 4, 5]);
    const positions = positionsOf([...first.records, ...second.records]);
    assert.deepEqual(
      positions,
      [...new Set(positions)].sort((a, b) => a - b),
    );
  });

  test('applies calls in call order, although none is awaited and a schema answers late', async ({
    store,
  }) => {
    const [account, other] = [newAccount(), newAccount()];
    const append = (amount: number) => store.append(account, [new MoneyDeposited(amount)]);
    await Promise.all([
      append(1),
      store.append(account, [new AccountAudited()]),
      append(2),
      store.appendAll([
        { aggregate: other, events: deposits(1) },
        { aggregate: account, events: [new MoneyDeposited(3)] },
      ]),
      append(4),
    ]);
    const { records } = await store.fetchByAggregate(account);
    const amounts = eventsOf(records).map((event) => (event as Partial<MoneyDeposited>).amount);
    assert.deepEqual(amounts, [1, undefined, 2, 3, 4]);
  });

  test('answers with the same instances that were appended', async ({ store }) => {
    const event = new MoneyDeposited(5);
    const { records } = await store.append(newAccount(), [event]);

    assert.equal(records[0]?.event, event);
    assert.equal(recordOf(event), records[0]);
  });

  test('reads events back as instances of their classes, with Dates', async ({ store }) => {
    const account = newAccount();
    await store.append(account, [new AccountOpened('Ada', openedAt)]);
    const [record] = (await store.fetchByAggregate(account)).records;

    assert.ok(record?.event instanceof AccountOpened);
    assert.ok(record.event.openedAt instanceof Date);
    assert.deepEqual(record.event, new AccountOpened('Ada', openedAt));
    assert.equal(recordOf(record.event), record);
  });

  test('returns a record with every field filled in', async ({ store }) => {
    const account = newAccount();
    const { records } = await store.append(account, [new MoneyDeposited(5)]);
    const { id, position, recordedAt, ...rest } = records[0]!;

    assert.match(id, uuid);
    assert.ok(Number.isSafeInteger(position) && position > 0);
    assert.ok(recordedAt instanceof Date && !Number.isNaN(recordedAt.getTime()));
    assert.deepEqual(rest, {
      aggregate: account,
      version: 1,
      part: 0,
      type: 'account.money-deposited',
      revision: 1,
      event: new MoneyDeposited(5),
      metadata: {},
    });
  });

  test("keeps a caller's event id, in lower case", async ({ store }) => {
    const id = '0191D7A0-1111-7ABC-8DEF-0123456789AB';
    const { records } = await store.append(newAccount(), [
      new EventData(new MoneyDeposited(5), { id }),
    ]);
    assert.equal(records[0]?.id, id.toLowerCase());
  });

  for (const id of ['', 'first', '0191d7a0-1111-7abc-8def-0123456789a']) {
    test(`refuses the event id '${id}'`, async ({ store }) => {
      const append = store.append(newAccount(), [new EventData(new MoneyDeposited(5), { id })]);
      assert.equal((await rejection(append, InvalidEventError)).path, 'id');
    });
  }

  test('writes none of the events if one cannot be stored', async ({ store }) => {
    await assertNothingWritten(store, async () => {
      const events = [new MoneyDeposited(1), new MoneyDeposited(Number.NaN)];
      const error = await rejection(store.append(newAccount(), events), InvalidEventError);
      assert.equal(error.path, '$.amount');
    });
  });

  test('refuses an unknown option, and suggests the one that is meant', async ({ store }) => {
    const account = newAccount();
    const events = deposits(1);
    const misspelt: object = { expectedVersoin: 3 };
    for (const append of [
      store.append(account, events, misspelt),
      store.appendAll([{ aggregate: account, events, ...misspelt }]),
    ]) {
      const { message } = await rejection(append, TypeError);
      assert.match(message, /'expectedVersoin'.+'expectedVersion'/);
    }
    const misplaced: object = { expectedVersion: 3 };
    const appendAll = store.appendAll([{ aggregate: account, events }], misplaced);
    assert.match((await rejection(appendAll, TypeError)).message, /'expectedVersion'.+manager/);
    assert.equal(await store.currentVersion(account), 0);
  });

  test('refuses an event whose class is not registered', async ({ store }) => {
    await assertNothingWritten(store, async () => {
      const append = store.append(newAccount(), [new MoneyDeposited(1), new NeverRegistered()]);
      await rejection(append, UnregisteredEventError);
    });
  });

  test(
    'refuses more events than it takes at once',
    async ({ store }) => {
      await store.append(newAccount(), deposits(3));
      await assertNothingWritten(store, async () => {
        const append = store.append(newAccount(), deposits(4));
        const error = await rejection(append, AppendTooLargeError);
        assert.deepEqual([error.eventCount, error.maxAppendEvents], [4, 3]);
      });
    },
    { maxAppendEvents: 3 },
  );

  test('takes a thousand events at once', async ({ store }) => {
    const account = newAccount();
    assert.equal((await store.append(account, deposits(1000))).version, 1000);
    assert.deepEqual(eventsOf((await store.fetchByAggregate(account)).records), deposits(1000));
  });

  test('applies appends made side by side in call order', async ({ store }) => {
    const account = newAccount();
    const results = await Promise.all(deposits(20).map((event) => store.append(account, [event])));

    assert.deepEqual(
      results.map((result) => result.version),
      deposits(20).map((event) => event.amount),
    );
    assert.deepEqual(eventsOf((await store.fetchByAggregate(account)).records), deposits(20));
  });
}
