import assert from 'node:assert/strict';
import type { EventRecord } from '../../events/event-record.ts';
import type { EventStore } from '../../store/event-store.ts';
import type { ReadOptions } from '../../store/reading/read-options.ts';
import { collect, eventsOf, positionsOf, rejection, versionsOf } from './support/assertions.ts';
import {
  AccountClosed,
  AccountOpened,
  deposits,
  MoneyDeposited,
  newAccount,
} from './support/contract-events.ts';
import type { ContractTest } from './support/contract-test.ts';

/** Six events: account 1 2 3, savings 1 2, account 4. */
async function writeLog(store: EventStore): Promise<readonly EventRecord[]> {
  const [account, savings] = [newAccount(), newAccount('savings')];
  const opened = new AccountOpened('Ada', new Date(0));
  const results = [
    await store.append(account, [opened, ...deposits(2)]),
    await store.append(savings, [opened, new MoneyDeposited(3)]),
    await store.append(account, [new AccountClosed()]),
  ];
  return results.flatMap((result) => result.records);
}

export function logReadContract(test: ContractTest): void {
  test('an empty log is at position 0', async ({ store }) => {
    assert.deepEqual(await store.fetch(), { position: 0, records: [] });
    assert.deepEqual(await store.fetch(0, { direction: 'backward' }), { position: 0, records: [] });
    assert.deepEqual(await collect(store.stream()), []);
    assert.equal(await store.currentPosition(), 0);
  });

  test('reads all events in the order of their positions', async ({ store }) => {
    const log = await writeLog(store);
    const page = await store.fetch();

    assert.deepEqual(page, { position: log[5]?.position, records: log });
    assert.equal(await store.currentPosition(), page.position);
  });

  test('reads strictly after a position', async ({ store }) => {
    const log = await writeLog(store);
    for (const [index, { position }] of log.entries()) {
      assert.deepEqual((await store.fetch(position)).records, log.slice(index + 1));
    }
  });

  test('answers a read past the end with the current position', async ({ store }) => {
    const position = (await writeLog(store))[5]!.position;
    assert.deepEqual(await store.fetch(position), { position, records: [] });
    assert.deepEqual(await store.fetch(position + 1000), { position, records: [] });
    assert.deepEqual(await store.fetch(Number.MAX_SAFE_INTEGER), { position, records: [] });
  });

  test('is readable up to its end while nothing is in flight', async ({ store }) => {
    const empty = { position: 0, lastPosition: 0, openAppends: [] };
    assert.deepEqual(await store.horizon(), empty);
    const position = (await writeLog(store))[5]!.position;
    assert.deepEqual(await store.horizon(), { position, lastPosition: position, openAppends: [] });
  });

  test('continues where a full page has ended', async ({ store }) => {
    const log = await writeLog(store);
    const first = await store.fetch(0, { limit: 4 });
    const second = await store.fetch(first.position, { limit: 2 });
    const third = await store.fetch(second.position, { limit: 2 });

    assert.deepEqual(first, { position: log[3]?.position, records: log.slice(0, 4) });
    assert.deepEqual(second, { position: log[5]?.position, records: log.slice(4) });
    assert.deepEqual(third, { position: log[5]?.position, records: [] });
  });

  test('reads a thousand events by default', async ({ store }) => {
    await store.append(newAccount(), deposits(1001));
    assert.equal((await store.fetch()).records.length, 1000);
    assert.equal((await store.fetch(0, { limit: 10_000 })).records.length, 1001);
    assert.equal((await collect(store.stream())).length, 1001);
  });

  const filters: readonly (readonly [string, ReadOptions, readonly number[]])[] = [
    ['by name', { types: ['account.opened'] }, [0, 3]],
    ['by class', { types: [MoneyDeposited] }, [1, 2, 4]],
    ['by several types', { types: [AccountClosed, 'account.opened'] }, [0, 3, 5]],
    ['by aggregate type', { aggregateTypes: ['savings'] }, [3, 4]],
    ['by several aggregate types', { aggregateTypes: ['savings', 'account'] }, [0, 1, 2, 3, 4, 5]],
    ['by both', { types: [MoneyDeposited], aggregateTypes: ['account'] }, [1, 2]],
    ['by an unknown name', { types: ['account.renamed'] }, []],
    ['by an unknown aggregate type', { aggregateTypes: ['ACCOUNT'] }, []],
    ['by no type at all', { types: [] }, []],
    ['by no aggregate type at all', { aggregateTypes: [] }, []],
  ];
  for (const [name, filter, indexes] of filters) {
    test(`filters ${name}`, async ({ store }) => {
      const log = await writeLog(store);
      const expected = indexes.map((index) => log[index]!);
      const current = log[5]!.position;

      assert.deepEqual(await store.fetch(0, filter), { position: current, records: expected });
      assert.deepEqual(await collect(store.stream(0, { ...filter, limit: 1 })), expected);
      const backward = await collect(
        store.stream(0, { ...filter, limit: 2, direction: 'backward' }),
      );
      assert.deepEqual(backward, expected.toReversed());
    });
  }

  test('a filtered reader skips events that do not match', async ({ store }) => {
    const log = await writeLog(store);
    const types = [AccountOpened];

    const full = await store.fetch(0, { types, limit: 2 });
    assert.deepEqual(positionsOf(full.records), [log[0]?.position, log[3]?.position]);
    assert.equal(full.position, log[3]?.position);
    assert.equal((await store.fetch(full.position, { types })).position, log[5]?.position);
  });

  test('reads backward, newest first, from the end or from a position', async ({ store }) => {
    const log = await writeLog(store);
    const backward = { direction: 'backward' } as const;

    const last = await store.fetch(0, { ...backward, limit: 4 });
    assert.deepEqual(last, { position: log[2]?.position, records: log.slice(2).toReversed() });
    const rest = await store.fetch(last.position, backward);
    assert.deepEqual(rest, { position: log[0]?.position, records: log.slice(0, 2).toReversed() });
    assert.deepEqual((await store.fetch(rest.position, backward)).records, []);
  });

  for (const limit of [1, 2, 3, 5, 6, 7]) {
    test(`streams page by page with a limit of ${limit}`, async ({ store }) => {
      const log = await writeLog(store);
      assert.deepEqual(await collect(store.stream(0, { limit })), log);
      assert.deepEqual(await collect(store.stream(log[1]?.position, { limit })), log.slice(2));
      const backward = await collect(store.stream(0, { limit, direction: 'backward' }));
      assert.deepEqual(backward, log.toReversed());
    });
  }

  test('a reader that stops early leaves no open read', async ({ store }) => {
    const log = await writeLog(store);
    for (let round = 0; round < 50; round++) {
      for await (const record of store.stream(0, { limit: 2 })) {
        assert.equal(record.position, log[0]?.position);
        break;
      }
    }
    const { version } = await store.append(log[0]!.aggregate, [new MoneyDeposited(9)]);
    assert.equal(version, 5);
    assert.deepEqual(versionsOf((await store.fetch(log[5]?.position)).records), [5]);
  });

  test('revives events again for every read', async ({ store }) => {
    await writeLog(store);
    const [first, second] = [await store.fetch(), await store.fetch()];
    assert.notEqual(first.records[0]?.event, second.records[0]?.event);
    assert.deepEqual(eventsOf(first.records), eventsOf(second.records));
  });

  for (const after of [-1, 1.5, Number.NaN, 2 ** 53, '1', null]) {
    test(`refuses to read after ${String(after)}`, async ({ store }) => {
      await rejection(store.fetch(after as number), TypeError);
      await rejection(store.fetchByAggregate(newAccount(), after as number), TypeError);
      await rejection(store.fetchHistory(newAccount(), { after: after as number }), TypeError);
    });
  }

  for (const limit of [0, -1, 1.5, Number.NaN, 10_001, '10', null]) {
    test(`refuses a limit of ${String(limit)}`, async ({ store }) => {
      const options = { limit: limit as number };
      await rejection(store.fetch(0, options), TypeError);
      await rejection(store.fetchByAggregate(newAccount(), 0, options), TypeError);
      await rejection(collect(store.stream(0, options)), TypeError);
    });
  }

  test('refuses an unknown option, and suggests the one that is meant', async ({ store }) => {
    const account = newAccount();
    const misspelt = (key: string) => ({ [key]: 1 });
    for (const [read, meant] of [
      [store.fetch(0, misspelt('aggregateType')), 'aggregateTypes'],
      [collect(store.stream(0, misspelt('aggregateType'))), 'aggregateTypes'],
      [store.fetchByAggregate(account, 0, misspelt('limits')), 'limit'],
      [collect(store.streamByAggregate(account, 0, misspelt('limits'))), 'limit'],
      [store.fetchHistory(account, misspelt('aftr')), 'after'],
      [store.getSnapshot(account, misspelt('revison')), 'revision'],
      [store.snapshot(account, {}, 1, misspelt('revison')), 'revision'],
    ] as const) {
      assert.match((await rejection(read, TypeError)).message, new RegExp(`'${meant}'`));
    }
  });

  test('refuses an unknown direction', async ({ store }) => {
    const options = { direction: 'sideways' as 'forward' };
    await rejection(store.fetch(0, options), TypeError);
    await rejection(store.fetchByAggregate(newAccount(), 0, options), TypeError);
  });
}
