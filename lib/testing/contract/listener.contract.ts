import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventData } from '../../events/event-data.ts';
import type { EventRecord } from '../../events/event-record.ts';
import type { AppendOptions } from '../../store/appending/append.ts';
import { WrongExpectedVersionError } from '../../store/appending/append.errors.ts';
import { rejection } from './support/assertions.ts';
import { deposits, MoneyDeposited, newAccount } from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

export function listenerContract(test: ContractTest): void {
  test('gets the records of every append, in order', async ({ store }) => {
    const heard: EventRecord[] = [];
    store.onAppended((records) => heard.push(...records));
    const first = await store.append(newAccount(), deposits(2));
    const rest = await store.appendAll([
      { aggregate: newAccount(), events: deposits(1) },
      { aggregate: newAccount(), events: deposits(2) },
    ]);

    assert.deepEqual(
      heard,
      [first, ...rest].flatMap((result) => result.records),
    );
    assert.equal(heard[0]?.event, first.records[0]?.event);
  });

  test('gets the records of one aggregate in the order of versions, however they are appended', async ({
    store,
  }) => {
    const versions: number[] = [];
    store.onAppended((records) => versions.push(...records.map(({ version }) => version)));
    const aggregate = newAccount();
    const append = (options?: AppendOptions) => store.append(aggregate, deposits(1), options);
    await Promise.all([
      append({ idempotencyKey: 'first' }),
      append(),
      append({ expectedVersion: 2 }),
      append({ idempotencyKey: 'fourth' }),
      store.appendAll([{ aggregate, events: deposits(1), idempotencyKey: 'fifth' }]),
      store.appendAll([{ aggregate, events: deposits(1) }]),
      append(),
    ]);
    assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7]);
  });

  test('is called before the append answers', async ({ store }) => {
    const calls: string[] = [];
    store.onAppended(() => calls.push('listener'));
    await store.append(newAccount(), deposits(1)).then(() => calls.push('caller'));
    assert.deepEqual(calls, ['listener', 'caller']);
  });

  test('is not called when nothing was written', async ({ store }) => {
    const account = newAccount();
    const events = [new EventData(new MoneyDeposited(1), { id: randomUUID() })];
    await store.append(account, events);
    let calls = 0;
    store.onAppended(() => (calls += 1));

    await store.append(account, []);
    assert.equal((await store.append(account, events)).duplicate, true);
    await rejection(
      store.append(account, deposits(1), { expectedVersion: 0 }),
      WrongExpectedVersionError,
    );
    assert.equal(calls, 0);
  });

  test('a listener that throws fails neither the append nor the other listeners', async ({
    store,
  }) => {
    const heard: EventRecord[] = [];
    store.onAppended(() => {
      throw new Error('listener');
    });
    store.onAppended((records) => heard.push(...records));
    const account = newAccount();
    assert.equal((await store.append(account, deposits(1))).version, 1);
    assert.equal((await store.append(account, deposits(1))).version, 2);
    assert.equal(heard.length, 2);
  });

  test('stops calling a listener that is removed', async ({ store }) => {
    let calls = 0;
    const stop = store.onAppended(() => (calls += 1));
    await store.append(newAccount(), deposits(1));
    stop();
    stop();
    await store.append(newAccount(), deposits(1));
    assert.equal(calls, 1);
  });
}
