import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventData } from '../../events/event-data.ts';
import type { AppendResult } from '../../store/appending/append.ts';
import type { EventStore } from '../../store/event-store.ts';
import type { ExpectedVersion } from '../../store/appending/expected-version.ts';
import { DuplicateEventError } from '../../store/appending/append.errors.ts';
import { assertNothingWritten, rejection } from './support/assertions.ts';
import { deposits, MoneyDeposited, MoneyWithdrawn, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

const deposit = (amount: number, id: string = randomUUID()): EventData =>
  new EventData(new MoneyDeposited(amount), { id });

function assertSameResult(repeated: AppendResult, first: AppendResult): void {
  assert.deepEqual(repeated, { ...first, duplicate: true });
}

async function assertDuplicate(
  store: EventStore,
  append: () => Promise<unknown>,
  ids: readonly (string | undefined)[],
): Promise<void> {
  await assertNothingWritten(store, async () => {
    const error = await rejection(append(), DuplicateEventError);
    for (const id of ids) assert.ok(error.eventIds.includes(String(id)), error.message);
  });
}

export function duplicateContract(test: ContractTest): void {
  for (const expectedVersion of [undefined, 'any', 'exists', 1] as const) {
    test(`answers with the first result (expecting ${expectedVersion})`, async ({ store }) => {
      const account = newAccount();
      await store.append(account, deposits(1));
      const events = [deposit(5), deposit(6)];
      const first = await store.append(account, events, { expectedVersion });

      await assertNothingWritten(store, async () => {
        assertSameResult(await store.append(account, events, { expectedVersion }), first);
      });
    });
  }

  for (const expectedVersion of ['no_stream', 0] as const) {
    test(`answers with the first result of a new aggregate (expecting ${expectedVersion})`, async ({
      store,
    }) => {
      const account = newAccount();
      const events = [deposit(5)];
      const first = await store.append(account, events, { expectedVersion });
      assertSameResult(await store.append(account, events, { expectedVersion }), first);
    });
  }

  test('answers with the first result after later appends to the aggregate', async ({ store }) => {
    const account = newAccount();
    const events = [deposit(5), deposit(6)];
    const first = await store.append(account, events, { expectedVersion: 0 });
    await store.append(account, deposits(3));

    assertSameResult(await store.append(account, events, { expectedVersion: 0 }), first);
  });

  test('recognizes an id in upper case, and does not compare metadata', async ({ store }) => {
    const account = newAccount();
    const id = randomUUID();
    const first = await store.append(account, [deposit(5, id)], { metadata: { actor: 'Ada' } });
    const again = [deposit(5, id.toUpperCase())];

    assertSameResult(await store.append(account, again, { metadata: { actor: 'Bob' } }), first);
  });

  test('of two repetitions side by side, one is written', async ({ store }) => {
    const account = newAccount();
    const events = [deposit(5), deposit(6)];
    const results = await Promise.all([
      store.append(account, events, { expectedVersion: 0 }),
      store.append(account, events, { expectedVersion: 0 }),
    ]);
    assert.equal(results.filter((result) => result.duplicate).length, 1);
    assert.equal(await store.currentVersion(account), 2);
  });

  for (const expectedVersion of [1, 2, 'no_stream'] satisfies ExpectedVersion[]) {
    test(`refuses a repetition that expects another version: ${expectedVersion}`, async ({
      store,
    }) => {
      const account = newAccount();
      await store.append(account, deposits(3));
      const event = deposit(5);
      await store.append(account, [event]);
      const repeat = () => store.append(account, [event], { expectedVersion });
      await assertDuplicate(store, repeat, [event.id]);
    });
  }

  test('refuses a stored event together with a new one', async ({ store }) => {
    const account = newAccount();
    const event = deposit(5);
    await store.append(account, [event]);

    await assertDuplicate(store, () => store.append(account, [event, deposit(6)]), [event.id]);
    await assertDuplicate(store, () => store.append(account, [deposit(6), event]), [event.id]);
  });

  test('refuses stored events in another order, or with others in between', async ({ store }) => {
    const account = newAccount();
    const [first, second, third] = [deposit(5), deposit(5), deposit(5)];
    await store.append(account, [first, second, third]);

    const ids = [first.id, second.id];
    await assertDuplicate(store, () => store.append(account, [second, first]), ids);
    await assertDuplicate(store, () => store.append(account, [first, third]), [first.id, third.id]);
  });

  test('refuses a stored id in another aggregate', async ({ store }) => {
    const event = deposit(5);
    await store.append(newAccount(), [event]);
    await assertDuplicate(store, () => store.append(newAccount(), [event]), [event.id]);
  });

  test('refuses a stored id with another payload or another type', async ({ store }) => {
    const account = newAccount();
    const id = randomUUID();
    await store.append(account, [deposit(5, id)]);

    await assertDuplicate(store, () => store.append(account, [deposit(6, id)]), [id]);
    const withdrawn = new EventData(new MoneyWithdrawn(5), { id });
    await assertDuplicate(store, () => store.append(account, [withdrawn]), [id]);
  });

  test('reports how many leading events of a longer list are stored, and where', async ({
    store,
  }) => {
    const account = newAccount();
    await store.append(account, deposits(3));
    const events = [1, 2, 3, 4, 5, 6].map((amount) => deposit(amount));
    await store.append(account, events.slice(0, 4));

    await assertNothingWritten(store, async () => {
      const error = await rejection(store.append(account, events), DuplicateEventError);
      const { reason, eventCount, storedCount, storedFrom, storedTo, storedIn } = error;
      assert.deepEqual(
        { reason, eventCount, storedCount, storedFrom, storedTo, storedIn },
        {
          reason: 'partly-stored',
          eventCount: 6,
          storedCount: 4,
          storedFrom: 4,
          storedTo: 7,
          storedIn: account,
        },
      );
      assert.match(error.message, /first 4 of its 6 events .* versions 4 to 7/);
      assert.deepEqual(
        error.eventIds.toSorted(),
        events
          .slice(0, 4)
          .map(({ id }) => id!)
          .toSorted(),
      );
    });
    // Other bounds, but everything is stored: a repetition.
    assert.equal((await store.append(account, events.slice(1, 3))).duplicate, true);
    const rest = await store.append(account, events.slice(4), { expectedVersion: 7 });
    assert.equal(rest.version, 9);
  });

  test('reports the reason why an append with stored ids is no repetition', async ({ store }) => {
    const [account, other] = [newAccount(), newAccount()];
    const [first, second, third] = [deposit(1), deposit(2), deposit(3)];
    await store.append(account, [first, second, third]);
    const reasonOf = async (append: Promise<unknown>) =>
      (await rejection(append, DuplicateEventError)).reason;

    const changed = new EventData(new MoneyDeposited(9), { id: second.id! });
    const twice = [{ aggregate: account, events: [third] }];
    assert.deepEqual(
      [
        await reasonOf(store.append(other, [deposit(9), first])),
        await reasonOf(store.append(account, [second, first])),
        await reasonOf(store.append(account, [deposit(9), first])),
        await reasonOf(store.append(account, [second], { expectedVersion: 2 })),
        await reasonOf(store.append(account, [first, changed])),
        await reasonOf(store.appendAll([...twice, { aggregate: other, events: deposits(1) }])),
        await reasonOf(store.append(account, [first, first])),
      ],
      [
        'other-aggregate',
        'other-order',
        'other-order',
        'other-version',
        'other-content',
        'beside-new-appends',
        'repeated-id',
      ],
    );
    const error = await rejection(store.append(other, [first]), DuplicateEventError);
    assert.deepEqual(error.storedIn, account);
  });

  test('refuses an id that comes twice in one append', async ({ store }) => {
    const id = randomUUID();
    const events = [deposit(5, id), deposit(5, id)];
    await assertDuplicate(store, () => store.append(newAccount(), events), [id]);
  });
}
